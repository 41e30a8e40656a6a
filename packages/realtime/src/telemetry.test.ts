// The spans of a session, as an exporter gets them.

import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { expect, test } from 'vitest';
import { RealtimeAgent } from './agent.ts';
import { started } from './test-support/started.ts';
import { tool } from './tool.ts';

test('session, turn, answer and tool, in the words of the GenAI conventions and without what was said', async () => {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const tracer = provider.getTracer('test');
  const desk = new RealtimeAgent({
    name: 'desk',
    tools: [
      tool({
        name: 'look',
        description: '',
        execute: () => {
          throw new Error('the whale is white');
        },
      }),
    ],
  });
  const { session, scripted, time } = await started(
    desk,
    [{ calls: [{ name: 'look', callId: 'c1' }] }, 'The whale is white.'],
    {
      config: { telemetry: { tracer, attributes: { tenant: 'acme' } } },
    },
  );
  scripted.connection.userSays('what colour is the whale');
  await time.pass(10_000);
  await session.close();

  const spans = exporter.getFinishedSpans();
  const root = spans.find(({ name }) => name === 'invoke_agent desk');
  expect(root?.attributes).toMatchObject({
    'gen_ai.operation.name': 'invoke_agent',
    'gen_ai.agent.name': 'desk',
    'gen_ai.provider.name': 'openai',
    'gen_ai.request.model': 'gpt-realtime-2.1',
    'gen_ai.conversation.id': session.id,
    'gen_ai.usage.input_tokens': 20,
    'gen_ai.usage.output_tokens': 40,
    'parley.closed.reason': 'closed',
    tenant: 'acme',
  });
  const children = spans.filter((span) => span !== root);
  expect(children.map(({ name }) => name).toSorted()).toEqual(['chat desk', 'chat desk', 'execute_tool look', 'turn']);
  for (const span of children) expect(span.attributes['gen_ai.provider.name']).toBe('openai');
  const trace = root?.spanContext().traceId;
  for (const span of children) expect(span.spanContext().traceId).toBe(trace);
  const tool_ = spans.find(({ name }) => name === 'execute_tool look');
  expect(tool_?.attributes).toMatchObject({
    'gen_ai.tool.name': 'look',
    'gen_ai.tool.call.id': 'c1',
    'error.type': 'unknown',
  });
  expect(JSON.stringify(spans.map(({ attributes, events, status }) => [attributes, events, status]))).not.toContain(
    'whale',
  );
  await provider.shutdown();
});
