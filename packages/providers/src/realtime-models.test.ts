import { realtimeModelTests } from './realtime-model.test.suite.ts';

// The rows of the capability table that speak over a socket.
realtimeModelTests({ provider: 'azure_openai', path: '/openai/v1' });
realtimeModelTests({ provider: 'gemini', path: '', unknown: '{"vendorNews":{"text":"new"}}' });
realtimeModelTests({ provider: 'openai', path: '/v1' });
realtimeModelTests({ provider: 'openai_compatible', path: '/v1' });
realtimeModelTests({ provider: 'simulator', path: '/v1' });
realtimeModelTests({ provider: 'xai', path: '/xai/v1' });
