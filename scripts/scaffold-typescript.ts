// A new project in TypeScript: installed by name and version, tested, run, and held in a container as its Dockerfile and
// compose file say. No key, and no engine for containers is needed.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readCompose, type Service } from './compose.ts';
import { Container } from './container.ts';
import type { Tarball } from './published.ts';
import { openRegistry } from './registry.ts';
import { created, done, type Env, freePort, npmEnv, outputOf, START_MS } from './scaffold.ts';
import { faults } from './steps.ts';
import { type Ended, temporary } from './workspace.ts';

export async function typescriptProject(tarballs: readonly Tarball[]): Promise<Ended> {
  const registry = await openRegistry(tarballs);
  try {
    const env = npmEnv(registry.url);
    const folder = await created(tarballs, 'typescript', env);
    await done('npm install', folder, env, ['npm', 'install']);
    await done('npm test', folder, env, ['npm', 'test'], 'pass 1');
    await done('npm run check', folder, env, ['npm', 'run', 'check']);
    const call = ['npm', 'start', '--', '--text', '--call-id', 'one'];
    await done('npm start', folder, env, call, 'agent: Order 42 is on its way.', 'where is order 42?\n');
    return faults(await inContainer(folder, env));
  } finally {
    registry.close();
  }
}

/** Its image is built, healthy, guarded by its key, and drains when it is told to stop. */
async function inContainer(folder: string, env: Env): Promise<string[]> {
  const container = new Container(folder, temporary('image'), env);
  await container.build();
  const { image } = container;
  const service = readCompose(readFileSync(join(folder, 'compose.yaml'), 'utf8'), {}).get('agent') as Service;
  const faultsFound = [
    ...(/^node:24-slim$/.test(image.base) ? [] : [`FROM ${image.base}`]),
    ...(['root', '0'].includes(image.user) ? ['it runs as root'] : []),
    ...(image.env['PARLEY_SERVE_PORT'] === String(image.ports[0]) ? [] : ['EXPOSE is not the port it listens on']),
    ...(service.ports[0]?.[1] === image.ports[0] ? [] : ['the compose file publishes another port than EXPOSE']),
    // A drain, the end of its calls, and a second for the process.
    ...(service.stopGraceMs >= 33_000 ? [] : ['it is killed before its drain is over']),
  ];
  const key = service.environment['PARLEY_SERVE_KEY'] ?? '';
  // On this machine another program may hold the port that a container has for itself.
  const given = { ...service.environment, PARLEY_SERVE_PORT: String(await freePort()) };
  const served = container.start(given);
  const ended = once(served, 'close') as Promise<[number | null, string | null]>;
  try {
    const output = outputOf(served);
    const until = Date.now() + START_MS;
    while (!(await container.healthy(given))) {
      if (served.exitCode !== null || Date.now() > until) throw new Error(`it did not become healthy:\n${output()}`);
    }
    const start = (authorization: string): Promise<Response> =>
      fetch(`http://127.0.0.1:${given['PARLEY_SERVE_PORT']}/sessions?wait=active`, {
        method: 'POST',
        headers: { authorization },
      });
    if ((await start('Bearer wrong')).status !== 401) faultsFound.push('it starts sessions for whoever asks');
    const started = await start(`Bearer ${key}`);
    if (started.status !== 201) faultsFound.push(`a start answered ${started.status}: ${await started.text()}`);
    served.kill('SIGTERM');
    const told = await drained(given, key, ended);
    if (told !== null) faultsFound.push(told);
    served.kill('SIGTERM');
    const [code, signal] = await ended;
    if (code !== 0) faultsFound.push(`after SIGTERM it ended with ${code ?? signal}:\n${output()}`);
  } finally {
    served.kill('SIGKILL');
    await ended;
  }
  return faultsFound;
}

/** What is wrong with its drain, while a call is live. */
async function drained(env: Env, key: string, ended: Promise<unknown>): Promise<string | null> {
  const until = Date.now() + START_MS;
  const over = ended.then(() => null);
  while (Date.now() < until) {
    const asked = fetch(`http://127.0.0.1:${env['PARLEY_SERVE_PORT']}/ready`, {
      headers: { authorization: `Bearer ${key}` },
    });
    const answer = await Promise.race([asked.catch(() => null), over]);
    if (answer === null) return 'it ended with a call in it, and did not drain';
    const { reason } = (await answer.json()) as { reason: string | null };
    if (reason === 'draining') return null;
  }
  return 'SIGTERM did not begin a drain';
}
