// `generate` writes schemas/ and the languages' types; `check` fails with a list when what is there is stale.

import { join } from 'node:path';
import { goFiles } from './go.ts';
import { outputs, staleFiles, writeFiles } from './output.ts';
import { pythonFiles } from './python.ts';

const root = join(import.meta.dirname, '../../..');
const check = process.argv.includes('--check');

const schemas = join(root, 'schemas');
keep('schemas', outputs(schemas));
keep('packages/python', pythonFiles());
keep('packages/go', goFiles());

function keep(folder: string, files: ReadonlyMap<string, string>): void {
  const at = join(root, folder);
  if (!check) {
    console.log(`${folder}: ${writeFiles(at, files).length} of ${files.size} files written`);
    return;
  }
  const stale = staleFiles(at, files);
  for (const line of stale) console.error(`${folder}/${line}`);
  if (stale.length === 0) return console.log(`${folder}: ${files.size} files are up to date`);
  console.error('run: pnpm generate');
  process.exitCode = 1;
}
