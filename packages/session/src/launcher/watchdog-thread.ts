// Watches the main thread from beside it: a loop that is blocked cannot say so itself. Where it is blocked is asked of
// the debugger, which can stop a thread in the middle of its work, look, and let it go on.

import { writeSync } from 'node:fs';
import { type Debugger, Session } from 'node:inspector';
import { parentPort, workerData } from 'node:worker_threads';

const { beats, blockedMs } = workerData as { beats: SharedArrayBuffer; blockedMs: number };
const counter = new Int32Array(beats);
const FRAMES_MAX = 8;

let seen = Atomics.load(counter, 0);
let changedAt = performance.now();
let told = false;

setInterval(
  () => {
    const now = Atomics.load(counter, 0);
    if (now !== seen) {
      seen = now;
      changedAt = performance.now();
      told = false;
      return;
    }
    const silentMs = Math.round(performance.now() - changedAt);
    if (told || silentMs < blockedMs) return;
    told = true;
    look(silentMs);
  },
  Math.max(1, blockedMs / 4),
);

/** Says which session blocks the loop, and where in the code. */
function look(blocked_ms: number): void {
  const inspector = new Session();
  inspector.connectToMainThread();
  const urls = new Map<string, string>();
  inspector.on('Debugger.scriptParsed', ({ params }) => urls.set(params.scriptId, params.url));
  inspector.on('Debugger.paused', ({ params }) => {
    // A frame of the author's: those of Node itself see other globals.
    const top = params.callFrames.find(({ location }) => !urls.get(location.scriptId)?.startsWith('node:'));
    const done = (session_id: unknown): void => {
      inspector.post('Debugger.resume', () => inspector.disconnect());
      const stack = params.callFrames.slice(0, FRAMES_MAX).map((frame) => place(frame, urls));
      const report = { culprit: session_id ?? null, blocked_ms, stack };
      // Written here: whoever reads logs should not wait until the loop turns again.
      writeSync(
        2,
        `${JSON.stringify({ level: 'error', time: Date.now(), msg: 'the event loop is blocked', ...report })}\n`,
      );
      parentPort?.postMessage(report);
    };
    if (!top) return done(undefined);
    const expression = "globalThis[Symbol.for('parley.running')]?.getStore()";
    inspector.post(
      'Debugger.evaluateOnCallFrame',
      { callFrameId: top.callFrameId, expression, returnByValue: true },
      (_error, answer) => done(answer?.result?.value),
    );
  });
  inspector.post('Debugger.enable', () => inspector.post('Debugger.pause'));
}

function place({ functionName, location }: Debugger.CallFrame, urls: ReadonlyMap<string, string>): string {
  const url = urls.get(location.scriptId) ?? 'unknown';
  return `${functionName || '(anonymous)'} (${url}:${location.lineNumber + 1})`;
}

parentPort?.postMessage('watching');
