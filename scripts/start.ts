// npm start: everything in step, then the demonstration in apps/examples.
import { packages, runBuilt } from './workspace.ts';

const args = process.argv.slice(2);
// An agent in another language is built for those who ask for it: its tools may come over the network.
const asked = packages().filter(({ folder }) => {
  const language = folder.replace('packages/', '');
  return args.some((arg, at) => arg === `--agent=${language}` || (arg === language && args[at - 1] === '--agent'));
});
const names = asked.map(({ name }) => name);
await runBuilt('apps/examples/dist/demo/main.js', args, names);
