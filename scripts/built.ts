// Runs a program of the workspace once everything it stands on is built: built.ts packages/bench/src/main.ts relay --json
// Its stdout is the caller's alone; the build reports on stderr.
import { runBuilt } from './workspace.ts';

const [program, ...args] = process.argv.slice(2);
if (program === undefined) throw new TypeError('expected a program, as in: built.ts packages/bench/src/main.ts');
await runBuilt(program, args);
