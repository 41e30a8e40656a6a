import { memorySocketPair } from './memory-socket.ts';
import { frameSocketSuite, SUITE_FRAME_BYTES_MAX } from './test-support/frame-socket-suite.ts';
import { wsPair } from './test-support/ws-pair.ts';

const limits = { maxFrameBytes: SUITE_FRAME_BYTES_MAX };

frameSocketSuite('memory', async () => {
  const [near, far] = memorySocketPair(limits);
  return { near, far, dispose: async () => near.terminate() };
});

frameSocketSuite('ws, from the client', async () => {
  const { client, server, dispose } = await wsPair(limits, limits);
  return { near: client, far: server, dispose };
});

frameSocketSuite('ws, from the server', async () => {
  const { client, server, dispose } = await wsPair(limits, limits);
  return { near: server, far: client, dispose };
});
