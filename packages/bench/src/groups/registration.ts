// What it costs to declare a session or a function, and to check what an agent registers.

import { checked, checkInputSchema, parseDeclaration, parseFunction } from '@parley/core';
import { Agent } from '@parley/session';
import { type Metrics, median, round } from '../stats.ts';

const RUNS = 7;
const SESSIONS = 200;
const FUNCTIONS = 800;

export async function registration(progress: (line: string) => void): Promise<Metrics> {
  progress('registration');
  const declared: number[] = [];
  const registered: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const begin = performance.now();
    const agent = new Agent('bench');
    for (let i = 0; i < SESSIONS; i++) {
      agent.session(`voice_${i}`, {
        provider: 'openai',
        transport: 'websocket',
        voice: 'marin',
        tools: [`tool_${i}`],
        modalities: ['audio', 'text'],
      });
    }
    for (let i = 0; i < FUNCTIONS; i++) {
      agent.skill(
        `tool_${i}`,
        {
          description: 'Looks up an order.',
          input: { type: 'object', properties: { order: { type: 'string' } }, required: ['order'] },
        },
        async () => null,
      );
    }
    declared.push(((performance.now() - begin) * 1000) / (SESSIONS + FUNCTIONS));
    const frame = {
      type: 'agent.register',
      agent: 'bench',
      instance_id: 'bench',
      sdk: { language: 'typescript', version: '0' },
      sessions: Array.from({ length: SESSIONS }, (_, i) => ({
        name: `voice_${i}`,
        provider: 'openai',
        transport: 'websocket',
        tools: [`tool_${i}`],
      })),
      functions: Array.from({ length: FUNCTIONS }, (_, i) => ({
        name: `tool_${i}`,
        kind: 'skill',
        input_schema: { type: 'object', properties: { order: { type: 'string' } } },
      })),
      in_flight: [],
      sessions_open: [],
    };
    const text = JSON.stringify(frame);
    const start = performance.now();
    checked('AgentFrame', JSON.parse(text));
    for (const session of frame.sessions) parseDeclaration(session);
    for (const one of (JSON.parse(text) as typeof frame).functions) {
      parseFunction(one);
      checkInputSchema(one.input_schema);
    }
    registered.push(((performance.now() - start) * 1000) / (SESSIONS + FUNCTIONS));
  }
  return {
    declare_per_entry: { ours: round(median(declared)), peer: null, floor: null, unit: 'us' },
    register_per_entry: { ours: round(median(registered)), peer: null, floor: null, unit: 'us' },
  };
}
