// What an idle call holds: a client socket, a session, and a provider socket; the peer holds the two sockets.

import { Fleet } from '../load/fleet.ts';
import { startUpstream } from '../load/upstream.ts';
import { type Metrics, round } from '../stats.ts';
import { startSessions } from '../control.ts';
import { Subject } from '../subjects/subject.ts';

const SESSIONS = 1000;

export async function memory(progress: (line: string) => void): Promise<Metrics> {
  const upstream = await startUpstream();
  try {
    progress('memory: parley');
    const ours = await measure('parley', upstream.port);
    progress('memory: ws-pipe');
    const peer = await measure('ws-pipe', upstream.port);
    progress('memory: splice');
    const floor = await measure('splice', upstream.port);
    return { bytes_per_idle_session: { ours: round(ours), peer: round(peer), floor: round(floor), unit: 'bytes' } };
  } finally {
    upstream.close();
  }
}

async function measure(name: 'parley' | 'ws-pipe' | 'splice', upstreamPort: number): Promise<number> {
  const subject = await Subject.start(name, { UPSTREAM_PORT: String(upstreamPort) });
  const agent =
    name === 'parley' ? await Subject.start('agent', { PARLEY_URL: `http://127.0.0.1:${subject.port}` }) : null;
  try {
    // Code is compiled and pools are filled by the first hundred.
    const first = await open(name, subject.port, 100);
    const before = (await subject.used(true)).rss_bytes;
    const rest = await open(name, subject.port, SESSIONS);
    const after = (await subject.used(true)).rss_bytes;
    first.close();
    rest.close();
    return (after - before) / SESSIONS;
  } finally {
    await agent?.stop();
    await subject.stop();
  }
}

async function open(name: string, port: number, count: number): Promise<Fleet> {
  if (name !== 'parley') return Fleet.open(Array.from({ length: count }, () => ({ port, path: '/v1/realtime' })));
  const sessions = await startSessions(port, count);
  return Fleet.open(
    sessions.map(({ session_id, client_token }) => ({
      port,
      path: `/api/v1/sessions/${session_id}/realtime`,
      protocols: `realtime, parley.token.${client_token}`,
    })),
  );
}
