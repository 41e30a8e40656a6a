// The few calls of the control plane that the benches make outside of what they measure.

import type { StartResponse } from '@parley/core';

const TARGET = 'bench.voice';

export async function startSessions(port: number, count: number, target = TARGET): Promise<StartResponse[]> {
  const started: StartResponse[] = [];
  while (started.length < count) {
    const some = Math.min(50, count - started.length);
    started.push(
      ...(await Promise.all(
        Array.from({ length: some }, () => post<StartResponse>(port, `/api/v1/sessions/${target}/start`)),
      )),
    );
  }
  return started;
}

export async function closeSessions(port: number, sessions: readonly StartResponse[]): Promise<void> {
  await Promise.all(sessions.map(({ session_id }) => post(port, `/api/v1/sessions/${session_id}/close`)));
}

async function post<T>(port: number, path: string): Promise<T> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  });
  const body = await response.text();
  if (!response.ok) throw new Error(`POST ${path} answered ${response.status}: ${body}`);
  return JSON.parse(body) as T;
}
