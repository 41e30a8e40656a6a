// npm start: everything in step, then the demonstration in apps/examples.

import { join } from 'node:path';
import { build, install, root, run } from './workspace.ts';

process.stderr.write('installing and building …\n');
await install();
await build();
const { code } = await run(process.execPath, [join(root, 'apps/examples/dist/demo/main.js'), ...process.argv.slice(2)], {
  output: 'inherit',
});
process.exitCode = code;
