import { realtimeModelTests } from './realtime-model.test.suite.ts';

// The rows of the capability table that speak over a socket.
realtimeModelTests({ provider: 'azure_openai', path: '/openai/v1' });
realtimeModelTests({ provider: 'gemini', path: '', unknown: '{"vendorNews":{"text":"new"}}' });
realtimeModelTests({ provider: 'openai', path: '/v1' });
realtimeModelTests({ provider: 'openai_compatible', path: '/v1' });
realtimeModelTests({
  provider: 'openai_live',
  path: '/v1',
  lacks: {
    push_to_talk: 'Live is full duplex: it has no commit',
    failed_transcripts: 'what Live did not write down, nobody knows to have been said',
    new_instructions: 'instructions of Live can be added to, not replaced',
    tokens: 'Live counts seconds',
  },
});
realtimeModelTests({ provider: 'simulator', path: '/v1' });
realtimeModelTests({ provider: 'xai', path: '/xai/v1' });

// And those whose sessions are held here.
const lacks = { socket: 'each turn is a request of its own' };
realtimeModelTests({ provider: 'openai', path: '/v1', transport: 'audio_turns', lacks });
realtimeModelTests({ provider: 'openrouter', path: '/api/v1', lacks });
realtimeModelTests({ provider: 'simulator', path: '/v1', transport: 'audio_turns', lacks });
