// npm run build: the packages that changed, and what depends on them. Arguments are turbo filters.
import { prepare } from './workspace.ts';

process.exitCode = (await prepare(...process.argv.slice(2))) ? 0 : 1;
