import { expect, test } from 'vitest';
import { add, plainLine, readTotals, withoutSkips } from './totals.ts';

test('a suite is read by its plain lines, whatever else it prints', () => {
  const output =
    'ok declarations/empty-tools\n3 passed, 9 failed in a sentence\ntypescript: 12 passed, 1 failed, 3 declared unsupported\n';
  expect(readTotals(output, 1)).toEqual({ passed: 12, failed: 1, skipped: [] });
});

test('a suite that says nothing, or dies after saying that all passed, has failed', () => {
  expect(readTotals('Segmentation fault\n', 139)).toEqual({ passed: 0, failed: 1, skipped: [] });
  expect(readTotals('5 passed, 0 failed\n', 1)).toEqual({ passed: 5, failed: 1, skipped: [] });
});

test('skips are listed with their reason, and are failures where none is allowed', () => {
  const totals = readTotals('skipped: TestCall/webrtc: no Chromium\n5 passed, 0 failed, 1 skipped\n', 0);
  expect(totals.skipped).toEqual([{ test: 'TestCall/webrtc', reason: 'no Chromium' }]);
  expect(plainLine(totals)).toBe('5 passed, 0 failed, 1 skipped');
  expect(plainLine(withoutSkips(totals))).toBe('5 passed, 1 failed');
});

test('totals add up over suites', () => {
  const one = { passed: 1, failed: 0, skipped: [] };
  expect(plainLine(add(one, { passed: 2, failed: 3, skipped: [{ test: 'a', reason: 'b' }] }))).toBe(
    '3 passed, 3 failed, 1 skipped',
  );
});
