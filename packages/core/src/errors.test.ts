import { expect, test } from 'vitest';
import { problemOf } from './check.ts';
import { closeCodeOf, ERROR_CODE_NAMES, ERROR_CODES, errorCodeOfClose, isErrorCode, ParleyError } from './errors.ts';

test('a ParleyError goes through JSON and comes back the same', () => {
  const error = new ParleyError('resource_exhausted', 'agent support is at its limit of 10 sessions', {
    retry_after_ms: 2000,
    details: { limit: 10, current: 10 },
    request_id: 'req_1',
  });
  const back = ParleyError.from(JSON.parse(JSON.stringify(error.toBody())));
  expect(back.toBody()).toEqual(error.toBody());
  expect(back).toMatchObject({ code: 'resource_exhausted', retryable: true, retryAfterMs: 2000, requestId: 'req_1' });
});

test('the body of an error fits its own schema, with nothing and with everything', () => {
  expect(problemOf('ErrorBody', JSON.parse(JSON.stringify(new ParleyError('internal', '').toBody())))).toBeNull();
  const full = new ParleyError('aborted', 'x', { retryable: false, retry_after_ms: 0, details: {}, request_id: 'r' });
  expect(problemOf('ErrorBody', JSON.parse(JSON.stringify(full.toBody())))).toBeNull();
});

test('a ParleyError is handed on as it is, and the fallback is not applied', () => {
  const error = new ParleyError('not_found', 'gone');
  expect(ParleyError.from(error, 'internal')).toBe(error);
});

test('an abort is cancelled, a timeout is deadline_exceeded, and the cause is kept', () => {
  const abort = AbortSignal.abort().reason as Error;
  expect(ParleyError.from(abort)).toMatchObject({ code: 'cancelled', cause: abort });
  const late = new DOMException('too late', 'TimeoutError');
  expect(ParleyError.from(late)).toMatchObject({ code: 'deadline_exceeded', message: 'too late', retryable: true });
});

test('an error of the system takes the fallback code and keeps its words', () => {
  const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  expect(ParleyError.from(refused, 'unavailable')).toMatchObject({
    code: 'unavailable',
    message: 'connect ECONNREFUSED',
  });
  expect(ParleyError.from(refused)).toMatchObject({ code: 'unknown' });
});

test('an error without a message is known by its name', () => {
  expect(ParleyError.from(new TypeError()).message).toBe('TypeError');
});

test('every code has its own number, and close codes lead back to it', () => {
  expect(ERROR_CODE_NAMES).toHaveLength(16);
  expect(new Set(ERROR_CODE_NAMES.map((code) => ERROR_CODES[code].number)).size).toBe(16);
  for (const code of ERROR_CODE_NAMES) {
    for (const retryable of [true, false]) {
      expect(errorCodeOfClose(closeCodeOf(code, retryable))).toEqual({ code, retryable });
    }
    expect(new ParleyError(code, 'x').closeCode).toBe(closeCodeOf(code));
    expect(new ParleyError(code, 'x').httpStatus).toBe(ERROR_CODES[code].http);
  }
});

test('names that every object inherits are no codes', () => {
  for (const name of ['constructor', '__proto__', 'toString', '', 'NOT_FOUND', null, 5]) {
    expect(isErrorCode(name)).toBe(false);
  }
});
