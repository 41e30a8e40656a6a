// npm run generate: writes what is derived from the contract. `npm run check` fails when this was forgotten.
import { prepare, run } from './workspace.ts';

if (await prepare('@parley/codegen')) {
  const { code } = await run('pnpm', ['--filter', '@parley/codegen', 'run', 'generate'], { output: 'inherit' });
  process.exitCode = code;
} else {
  process.exitCode = 1;
}
