import { ERROR_CODES, ParleyError, TURN_FAILURES } from '@parley/core';
import { expect, test } from 'vitest';
import { invalidOutputOf, turnError, turnFailureOf } from './failures.ts';

test.each(TURN_FAILURES.map((reason) => [reason]))('%s survives a wire', (reason) => {
  const error = turnError(reason, 'as it came');
  const read = ParleyError.from(JSON.parse(JSON.stringify(error.toBody())));
  expect(turnFailureOf(read)).toBe(reason);
  expect(read.code in ERROR_CODES).toBe(true);
  expect(read.retryable).toBe(error.retryable);
});

test('errors of other origin are no failures of a turn', () => {
  expect(turnFailureOf(new ParleyError('internal', 'x', { details: { reason: 'server_restarted' } }))).toBeNull();
  expect(turnFailureOf(new Error('x'))).toBeNull();
  expect(invalidOutputOf(turnError('timeout', 'x'))).toBeNull();
});
