import { expect, test } from 'vitest';
import { eventOf, summaryOf } from './items.ts';

test.each([
  [{ type: 'agentMessage', text: 'Done.\nAll of it.' }, 'Done. All of it.'],
  [{ type: 'commandExecution', command: 'npm test' }, 'npm test'],
  [{ type: 'mcpToolCall', server: 'site', tool: 'look' }, 'site.look'],
  [{ type: 'dynamicToolCall', tool: 'find_order' }, 'find_order'],
  [{ type: 'fileChange', changes: [{ path: '/a' }, { path: '/b' }] }, '/a, /b'],
  [{ type: 'reasoning', summary: ['first', 'second'], content: [] }, 'first second'],
  [{ type: 'reasoning', summary: [], content: [] }, 'reasoning'],
  [{ type: 'webSearch', query: 'weather' }, 'weather'],
  [{ type: 'ofTomorrow', x: 1 }, 'ofTomorrow'],
  [{}, 'unknown'],
])('%j is summed up as "%s"', (item, summary) => {
  expect(summaryOf(item)).toBe(summary);
});

test('a summary has at most 200 characters, and cuts none in two', () => {
  const summary = summaryOf({ type: 'agentMessage', text: '🧱'.repeat(300) });
  expect(Array.from(summary)).toHaveLength(200);
  expect(summary.endsWith('🧱…')).toBe(true);
});

test('metadata has no empty fields, and long texts are cut', () => {
  const { metadata } = eventOf({ type: 't', id: 'i', a: null, b: ['x'.repeat(50)], c: { d: null, e: 0 } }, 10);
  expect(metadata).toEqual({ b: ['xxxxxxxxxx… (50 characters)'], c: { e: 0 } });
});
