// Runs a program of the workspace once everything it stands on is built: built.ts packages/bench/src/main.ts relay --json
// Its stdout is the caller's alone; the build reports on stderr.
import { build, install, run } from './workspace.ts';

const [program, ...args] = process.argv.slice(2);
if (program === undefined) {
  process.stderr.write('expected a program, as in: built.ts packages/bench/src/main.ts\n');
  process.exit(1);
}
await install();
await build();
const { code } = await run(process.execPath, [program, ...args], { output: 'inherit' });
process.exitCode = code;
