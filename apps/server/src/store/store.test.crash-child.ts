// Started by the crash test and killed by it: commits units of one execution and its log, and prints each acknowledged id.

import { openSqliteStore } from './sqlite-store.ts';
import type { StoredEvent } from './store.ts';

const store = await openSqliteStore({ directory: process.argv[2] as string });

async function writeOn(lane: number): Promise<never> {
  for (let n = 0; ; n++) {
    const execution_id = `exec_${process.pid}_${lane}_${n}`;
    const events: StoredEvent[] = [1, 2, 3].map((seq) => ({ seq, at_ms: seq, type: 'note', json: `{"seq":${seq}}` }));
    await store.commit([
      {
        op: 'execution.insert',
        execution: {
          execution_id,
          workflow_id: 'wf',
          target: 'a.b',
          kind: 'skill',
          status: 'queued',
          created_at_ms: n,
        },
      },
      { op: 'events.append', session_id: execution_id, events },
    ]);
    process.stdout.write(`${execution_id}\n`);
  }
}

await Promise.all(Array.from({ length: 16 }, (_, lane) => writeOn(lane)));
