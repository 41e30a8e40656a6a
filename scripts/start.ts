// npm start: everything in step, then the demonstration in apps/examples.
import { runBuilt } from './workspace.ts';

await runBuilt('apps/examples/dist/demo/main.js', process.argv.slice(2));
