// A new project in Python: its tests, its image, and the two containers of its compose file, which hold a call together.
// The package of Python is a wheel made here; what it stands on comes from PyPI.
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readCompose, type Service } from './compose.ts';
import { Container } from './container.ts';
import type { Tarball } from './published.ts';
import { openRegistry } from './registry.ts';
import { created, done, type Env, freePort, npmEnv, outputOf, START_MS } from './scaffold.ts';
import { faults } from './steps.ts';
import { type Ended, root, run, temporary } from './workspace.ts';

export async function pythonProject(tarballs: readonly Tarball[]): Promise<Ended> {
  const registry = await openRegistry(tarballs);
  try {
    const npm = npmEnv(registry.url);
    const folder = await created(tarballs, 'python', npm);
    const wheels = await builtWheel();
    const user = await interpreter({ ...npm, PIP_FIND_LINKS: wheels, PIP_DISABLE_PIP_VERSION_CHECK: '1' });
    await done('pip install', folder, user, ['pip', 'install', '--quiet', '-e', '.[test]']);
    await done('pytest', folder, user, ['pytest', '-q', '-p', 'no:cacheprovider'], '1 passed');
    const base = await interpreter({ ...npm, PIP_FIND_LINKS: wheels });
    return faults(await inContainers(folder, tarballs, base));
  } finally {
    registry.close();
  }
}

/** Both containers run; a call is held; both end well when they are told to. */
async function inContainers(folder: string, tarballs: readonly Tarball[], base: Env): Promise<string[]> {
  const services = readCompose(readFileSync(join(folder, 'compose.yaml'), 'utf8'), {});
  const plane = services.get('parley') as Service;
  const agent = services.get('agent') as Service;
  // Where a container of Node has what it installs for all.
  const prefix = temporary('prefix');
  const node = { ...base, npm_config_prefix: prefix, PATH: `${join(prefix, 'bin')}:${base['PATH'] ?? ''}` };
  const parley = new Container(folder, temporary('parley'), node);
  // Its package by its file: a name without a scope would be looked for in the registry of everybody.
  const { path } = tarballs.find(({ pkg }) => pkg.name === 'parley') as Tarball;
  await parley.build((plane.dockerfile ?? '').replace(/ parley@\d+\.\d+\.\d+\S*/, ` ${path}`));
  const desk = new Container(folder, temporary('desk'), base);
  await desk.build();
  const published = plane.ports[0]?.[1];
  const found = [
    ...(/^python:3\.\d+-slim$/.test(desk.image.base) ? [] : [`FROM ${desk.image.base}`]),
    ...([parley, desk].some(({ image }) => ['root', '0'].includes(image.user)) ? ['one runs as root'] : []),
    ...(/ parley@\d+\.\d+\.\d+/.test(plane.dockerfile ?? '') ? [] : ['the control plane is of no version']),
    ...(agent.dependsOn.includes('parley') ? [] : ['the agent does not wait for the control plane']),
    ...(agent.environment['PARLEY_KEY'] === plane.environment['PARLEY_KEY'] ? [] : ['the keys differ']),
    ...(agent.environment['PARLEY_URL'] === `http://parley:${published}` ? [] : ['the agent dials elsewhere']),
    ...(plane.environment['PARLEY_PORT'] === String(published) ? [] : ['the port that is published is another one']),
    ...(parley.image.ports[0] === published ? [] : ['EXPOSE is not the port that is published']),
    ...(desk.image.env['PORT'] === String(desk.image.ports[0]) ? [] : ['EXPOSE is not the port it listens on']),
    ...(agent.ports[0]?.[1] === desk.image.ports[0] ? [] : ['the compose file publishes another port than EXPOSE']),
    // A drain, the end of its calls, and a second for the process.
    ...(Math.min(agent.stopGraceMs, plane.stopGraceMs) >= 33_000 ? [] : ['one is killed before its drain is over']),
  ];
  // On this machine another program may hold the port that a container has for itself.
  const port = String(await freePort());
  const served = running(parley, { ...plane.environment, PARLEY_PORT: port });
  const own = String(await freePort());
  const working = { ...agent.environment, PARLEY_URL: `http://127.0.0.1:${port}`, PORT: own };
  try {
    await served.until(() => parley.healthy({ PARLEY_PORT: port }, plane.healthcheck));
    const agents = running(desk, working);
    try {
      await agents.until(() => desk.healthy(working));
      await agents.until(async () => (await fetch(`http://127.0.0.1:${own}/ready`)).ok);
      await agents.until(async () => agents.output().includes('registered'));
      const open = await fetch(`http://127.0.0.1:${own}/sessions`);
      if (open.status !== 401) found.push(`without its key it answers ${open.status}`);
      const talk = ['parley', 'session', 'talk', 'front-desk.voice', '--text', 'Where is order 42?'];
      await done('a call', folder, { ...node, ...working }, talk, 'Order 42 is on its way.');
      found.push(...(await agents.told('the agent')));
    } finally {
      await agents.gone();
    }
    found.push(...(await served.told('the control plane')));
  } finally {
    await served.gone();
  }
  return found;
}

/** A container that runs. */
function running(container: Container, env: Env) {
  const child = container.start(env);
  const output = outputOf(child);
  const ended = once(child, 'close') as Promise<[number | null, string | null]>;
  return {
    output,
    /** Resolves once it is as wanted. @throws Error with its output where that takes too long, or it has ended. */
    async until(wanted: () => Promise<boolean>): Promise<void> {
      const deadline = Date.now() + START_MS;
      while (!(await wanted())) {
        if (child.exitCode !== null || Date.now() > deadline) throw new Error(`it did not get ready:\n${output()}`);
        await new Promise((resolve) => void setTimeout(resolve, 100));
      }
    },
    /** What is wrong with its end, once it is told to. */
    async told(name: string): Promise<string[]> {
      child.kill('SIGTERM');
      const [code, signal] = await ended;
      return code === 0 ? [] : [`${name} ended with ${code ?? signal} after SIGTERM:\n${output()}`];
    },
    async gone(): Promise<void> {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** The package as it would be published, in a folder that pip looks into. */
async function builtWheel(): Promise<string> {
  const folder = temporary('wheels');
  const python = join(root, 'packages', 'python', '.venv', 'bin', 'python');
  if (!existsSync(python)) throw new Error('packages/python is not built: npm run build');
  const build = ['-m', 'build', '--wheel', '--no-isolation', '--outdir', folder, join(root, 'packages', 'python')];
  const { code, output } = await run(python, build);
  if (code !== 0) throw new Error(`no wheel could be made:\n${output}`);
  return folder;
}

/** An environment with a Python of its own, as the base image has it. */
async function interpreter(env: Env): Promise<Env> {
  const folder = join(temporary('python'), 'venv');
  const { code, output } = await run('python3', ['-m', 'venv', folder]);
  if (code !== 0) throw new Error(`no environment could be made:\n${output}`);
  return { ...env, PATH: `${join(folder, 'bin')}:${env['PATH'] ?? ''}` };
}
