// npm run generate: writes what is derived from the contract and the samples. `npm run check` fails when this was forgotten.
import { writeSamples } from './samples.ts';
import { prepare, root, run } from './workspace.ts';

if (await prepare('@parley/codegen')) {
  const { code } = await run('pnpm', ['--filter', '@parley/codegen', 'run', 'generate'], { output: 'inherit' });
  writeSamples(root);
  process.exitCode = code;
} else {
  process.exitCode = 1;
}
