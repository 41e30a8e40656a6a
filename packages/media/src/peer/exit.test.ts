// The native library has threads of its own, which must not take the process down when it goes.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const PEER = fileURLToPath(new URL('exit.test.peer.ts', import.meta.url));

test.each(['in use', 'closed'])('a process whose calls are %s ends as it says, time and again', async (how) => {
  for (let n = 0; n < 8; n++) {
    const child = spawn(process.execPath, [PEER, how], { stdio: ['ignore', 'ignore', 'pipe'] });
    let complaints = '';
    child.stderr.on('data', (piece) => (complaints += String(piece)));
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    expect({ code, signal, complaints }).toEqual({ code: 0, signal: null, complaints: '' });
  }
});
