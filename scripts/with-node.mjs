// Runs a TypeScript script of this workspace under a Node that can: the machine's own when it is new enough,
// otherwise one from the npm registry, with pnpm beside it. Plain JavaScript: it has to run on any Node with npm.
//
//   node scripts/with-node.mjs scripts/test.ts --no-skips
//
// P1  The script's stdin, stdout and arguments are the caller's; whatever the set-up prints goes to stderr.
// P2  A signal reaches the script once, and this process stays until the script has drained.
// P3  This process ends as the script ended: same exit code, 128 + n after signal n.
import { spawn, spawnSync } from 'node:child_process';
import { constants, tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NODE = '24.21.0';
const PNPM = '12.21.0';
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const windows = process.platform === 'win32';

// npm delivers Ctrl-C twice (the terminal signals the group, npm then forwards its own): twice within this is once.
const SAME_SIGNAL_MS = 200;

const { node, path } = findNode();
run(node, path);

/** The Node to use, and a PATH on which it and pnpm come first. npx only finds them: it is not kept in the signal path. */
function findNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const newEnough = major > 22 || (major === 22 && minor >= 18);
  const beside = [dirname(process.execPath), process.env.PATH].join(delimiter);
  if (newEnough && pnpmIsHere()) return { node: process.execPath, path: beside };

  const wanted = [...(newEnough ? [] : ['-p', nodePackage()]), '-p', `pnpm@${PNPM}`];
  const ask = ['node', '-p', 'JSON.stringify([process.execPath,process.env.PATH])'];
  const found = spawnSync('npx', ['-y', '--loglevel=error', ...wanted, '--', ...ask], {
    cwd: root,
    encoding: 'utf8',
    shell: windows,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const answer = (found.stdout ?? '').trim().split('\n').at(-1);
  if (found.status !== 0 || !answer?.startsWith('[')) {
    const why = found.error?.message ?? `npx ended with ${found.status ?? found.signal}`;
    process.stderr.write(`Parley needs Node >= 22.18 and pnpm ${PNPM}, and could not fetch them from npm: ${why}\n`);
    process.exit(1);
  }
  const [execPath, withBins] = JSON.parse(answer);
  return { node: newEnough ? process.execPath : execPath, path: withBins };
}

/** Another major version would read the lockfile and pnpm-workspace.yaml differently, or fetch itself anew. */
function pnpmIsHere() {
  // Outside of the workspace, where no packageManager field can tell an older pnpm to replace itself.
  const answer = spawnSync('pnpm', ['--version'], { cwd: tmpdir(), encoding: 'utf8', shell: windows });
  return answer.status === 0 && answer.stdout.trim().split('.')[0] === PNPM.split('.')[0];
}

/** The platform packages hold the binary itself; the package `node` fetches one of them in an install script. */
function nodePackage() {
  const direct = ['linux-x64', 'linux-arm64', 'win-x64'];
  const name = `${windows ? 'win' : process.platform}-${process.arch}`;
  return direct.includes(name) ? `node-${name}@${NODE}` : `node@${NODE}`;
}

function run(node, path) {
  const [script, ...args] = process.argv.slice(2);
  // Its own process group, so that it hears a signal from us and only from us (P2); the channel tells it when we are gone.
  const child = spawn(node, [join(root, script), ...args], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    detached: !windows,
    env: { ...process.env, PATH: path, TURBO_TELEMETRY_DISABLED: '1' },
  });

  const last = {};
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      const now = performance.now();
      if (now - (last[signal] ?? -Infinity) > SAME_SIGNAL_MS) child.kill(signal);
      last[signal] = now;
    });
  }
  child.on('error', (error) => {
    process.stderr.write(`could not start ${script}: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}
