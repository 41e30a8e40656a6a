// SQLite's errors in Parley's sixteen codes. Used in the workers, so it imports nothing that takes time to load.

import type { ErrorCode } from '@parley/core';
import type { WireError } from './wire.ts';

/** A failure with a code, inside a worker; it becomes a ParleyError on the main side. */
export class StoreFailure extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Primary result codes of SQLite; the extended ones keep them in their low byte. */
const CODE_OF: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  3: ['failed_precondition', 'no permission to use the database file'],
  5: ['unavailable', 'the database is busy'],
  6: ['unavailable', 'the database is locked'],
  8: ['failed_precondition', 'the database can only be read'],
  10: ['unavailable', 'the disk failed'],
  11: ['data_loss', 'the database file is damaged'],
  13: ['resource_exhausted', 'the disk or the database is full'],
  14: ['failed_precondition', 'the database file cannot be opened'],
  18: ['resource_exhausted', 'a value is too large for the database'],
  19: ['already_exists', 'a row with this id is there already'],
  26: ['data_loss', 'the file is not a database'],
};

const CONSTRAINT = 19;
const CONSTRAINT_UNIQUE = [1555, 2067, 2579];

/** Whether the error came from one unit's own rows, so that its neighbours in the group can still be applied. */
export function isUnitsOwnFault(error: unknown): boolean {
  if (error instanceof StoreFailure) return true;
  const number = sqliteNumber(error);
  return number !== null && ((number & 0xff) === CONSTRAINT || (number & 0xff) === 18);
}

export function wireError(error: unknown): WireError {
  if (error instanceof StoreFailure) return { code: error.code, message: error.message };
  const text = error instanceof Error ? error.message : String(error);
  const number = sqliteNumber(error);
  if (number === null) return { code: 'internal', message: `the store failed: ${text}` };
  if ((number & 0xff) === CONSTRAINT && !CONSTRAINT_UNIQUE.includes(number)) {
    return { code: 'invalid_argument', message: `the store refused a row: ${text}` };
  }
  const known = CODE_OF[number & 0xff];
  if (!known) return { code: 'internal', message: `the store failed: ${text}` };
  return { code: known[0], message: `${known[1]}: ${text}` };
}

function sqliteNumber(error: unknown): number | null {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return null;
  return error.errcode;
}
