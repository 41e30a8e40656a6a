// npm run generate: writes what is derived from the contract. `check` fails when this was forgotten.
import { build, install, run } from './workspace.ts';

await install();
await build('@parley/codegen');
const { code } = await run('pnpm', ['--filter', '@parley/codegen', 'run', 'generate'], { output: 'inherit' });
process.exitCode = code;
