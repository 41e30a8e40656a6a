// npm run build: the packages that changed, and what depends on them. Arguments are turbo filters.
import { build, install } from './workspace.ts';

await install();
await build(...process.argv.slice(2));
