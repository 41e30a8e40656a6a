// Runs a TypeScript script of this workspace under a Node that can: the machine's own when it is new enough,
// otherwise one from the npm registry, with pnpm beside it. Plain JavaScript: it has to run on any Node with npm.
import { spawn, spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NODE = 'node@24.21.0';
const PNPM = 'pnpm@12.21.0';
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [script, ...args] = process.argv.slice(2);

const [major, minor] = process.versions.node.split('.').map(Number);
const nodeIsNewEnough = major > 22 || (major === 22 && minor >= 18);
const pnpmIsHere = spawnSync('pnpm', ['--version'], { shell: process.platform === 'win32' }).status === 0;

const env = { ...process.env, TURBO_TELEMETRY_DISABLED: '1', PARLEY_NODE_READY: '1' };
// A `prepare`d environment is inherited by everything below: never fetch twice.
const child =
  process.env.PARLEY_NODE_READY === '1' || (nodeIsNewEnough && pnpmIsHere)
    ? spawn(process.execPath, [join(root, script), ...args], { stdio: 'inherit', env })
    : spawn('npx', [
        '-y',
        ...(nodeIsNewEnough ? [] : ['-p', NODE]),
        '-p', PNPM,
        // The arguments travel as JSON in the environment: npx -c takes one shell string.
        '-c', 'node scripts/exec-args.mjs',
      ], {
        stdio: 'inherit', cwd: root, shell: process.platform === 'win32',
        env: { ...env, npm_config_loglevel: 'error', PARLEY_ARGV: JSON.stringify([join(root, script), ...args]) },
      });

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('error', (error) => {
  process.stderr.write(`could not start ${script}: ${error.message}\n`);
  process.exit(1);
});
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 143)));
