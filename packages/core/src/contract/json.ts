// JSON values and errors as schemas, for every part of the contract.

import { z } from 'zod';
import { ERROR_CODE_NAMES } from '../errors.ts';

export const Json = z.unknown().meta({ id: 'Json', description: 'Any JSON value.' });
export const JsonObject = z.record(z.string(), z.unknown()).meta({ id: 'JsonObject', description: 'A JSON object.' });

export const ErrorObjectSchema = z
  .object({
    code: z.enum(ERROR_CODE_NAMES),
    message: z.string(),
    retryable: z.boolean(),
    retry_after_ms: z.number().min(0).optional(),
    details: z.record(z.string(), z.unknown()).optional(),
    request_id: z.string().optional(),
  })
  .meta({ id: 'ErrorObject', description: 'What went wrong: one of sixteen codes, and words for a person.' });

export const ErrorBodySchema = z.object({ error: ErrorObjectSchema }).meta({ id: 'ErrorBody' });
