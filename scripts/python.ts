// The verbs of packages/python: build, test, check, package. They live in packages/python/tools/dev.py, which keeps a virtual
// environment with pinned tools.
import { join } from 'node:path';
import { root, run } from './workspace.ts';

const verbs = ['build', 'test', 'check', 'package'];
const [verb = '', ...rest] = process.argv.slice(2);
if (!verbs.includes(verb)) throw new TypeError(`expected one of ${verbs.join(', ')}, got '${verb}'`);

const folder = join(root, 'packages', 'python');
const { code } = await run('python3', ['tools/dev.py', verb, ...rest], { cwd: folder, output: 'inherit' });
// Building is only the preparation of the environment: without Python, or without PyPI, the rest of the house still builds,
// and the tests and checks of Python say for themselves what is missing.
if (verb === 'build' && code !== 0) console.log('packages/python is not ready on this machine');
else process.exitCode = code;
