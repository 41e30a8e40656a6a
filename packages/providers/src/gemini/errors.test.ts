import { expect, test } from 'vitest';
import { closeError, isRecoverable, providerError } from '../openai/errors.ts';
import { errorOf } from './errors.ts';

const REASONS = [
  [1007, 'API key expired. Please renew the API key.', 'unauthenticated', false],
  [1007, 'Request contains an invalid argument.', 'invalid_argument', false],
  [1007, 'User location is not supported for the API use.', 'permission_denied', false],
  [1008, 'Requested entity was not found.', 'invalid_argument', false],
  [1011, 'You exceeded your current quota.', 'resource_exhausted', true],
  [1011, 'Your prepayment credits are depleted.', 'resource_exhausted', false],
  [1011, 'Internal error encountered.', 'unavailable', true],
] as const;

test.for(REASONS)('%i "%s" is %s', ([code, reason, expected, recoverable]) => {
  const wire = errorOf({ code, reason });
  expect(wire).not.toBeNull();
  const error = providerError(wire ?? {}, (text) => text);
  expect(error).toMatchObject({ code: expected, message: reason });
  expect(isRecoverable({ code, reason }, error)).toBe(recoverable);
});

test('an end that says nothing of itself stays what its code says', () => {
  expect(errorOf({ code: 1000, reason: '' })).toBeNull();
  expect(errorOf({ code: 1006, reason: '' })).toBeNull();
  const error = closeError({ code: 1006, reason: '' }, undefined, (text) => text);
  expect(error).toMatchObject({ code: 'unavailable', retryable: true });
});
