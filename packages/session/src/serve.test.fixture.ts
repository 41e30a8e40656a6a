// A program that serves; serve.test.ts runs it as a process.

import { Agent } from './index.ts';

const agent = new Agent('support', { cancelMs: 50 });
agent.skill('asks', {}, (_, context) => context.call('other.one'));
agent.skill('deaf', {}, () => new Promise(() => undefined));
await agent.serve();
process.stdout.write('served\n');
