// `generate` writes schemas/; `check` fails with a list when what is there is stale.

import { join } from 'node:path';
import { outputs, staleFiles, writeFiles } from './output.ts';

const root = join(import.meta.dirname, '../../../schemas');
const files = outputs(root);

if (process.argv.includes('--check')) {
  const stale = staleFiles(root, files);
  for (const line of stale) console.error(`schemas/${line}`);
  if (stale.length > 0) console.error('run: pnpm generate');
  else console.log(`schemas: ${files.size} files are up to date`);
  process.exitCode = stale.length > 0 ? 1 : 0;
} else {
  const written = writeFiles(root, files);
  console.log(`schemas: ${written.length} of ${files.size} files written`);
}
