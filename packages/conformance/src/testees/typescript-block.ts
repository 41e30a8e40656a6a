// The testee agent's function that blocks: in a module of its own, so that it runs in a worker thread.

import type { FunctionBody } from '@parley/session';

export default (({ ms }, context) => {
  context.note('started');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  return { ms };
}) satisfies FunctionBody<{ ms: number }>;
