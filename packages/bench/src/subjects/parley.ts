// Ours: a control plane as it is shipped, on a database on disk, with its provider at UPSTREAM_PORT.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startServer } from '@parley/server';
import { ready } from './subject.ts';

const data = mkdtempSync(join(tmpdir(), 'parley-bench-'));
process.on('exit', () => rmSync(data, { recursive: true, force: true }));
const server = await startServer({
  port: 0,
  data,
  log_level: 'error',
  providers: { openai: { base_url: `http://127.0.0.1:${process.env['UPSTREAM_PORT'] ?? 9}/v1`, key: 'sk-bench' } },
  limits: {
    sessions_max: 10_000_000,
    executions_max: 100_000,
    sockets_max: 100_000,
    agent_frame_bytes_max: 64 * 1024 * 1024,
  },
});
ready(server.port);
