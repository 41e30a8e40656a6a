// The agent of the benches, in a process of its own: one session, one skill that does nothing.

import { Agent, stderrLog } from '@parley/session';
import { ready } from './subject.ts';

const agent = new Agent('bench', { log: stderrLog('warn') });
agent.session('voice', { provider: 'openai', transport: 'websocket', model: 'bench' });
agent.session('call', { provider: 'openai', transport: 'webrtc', media: 'bridge', model: 'bench' });
agent.skill('echo', {}, async (input) => input);
const running = agent.start({ url: process.env['PARLEY_URL'] as string });
await running.ready;
ready(0);
