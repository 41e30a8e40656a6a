// Gemini Live has no error message: a connection ends with a close code and a reason in words. The words decide, since
// one code stands for many things; both are kept.

import type { FrameClose } from '@parley/transport';
import type { Wire } from '../openai/wire.ts';

/** Why a connection ended, in the codes that OpenAI would give; null for an end that says nothing. */
export function errorOf({ code, reason }: FrameClose): Wire | null {
  if (code === 1000 || code === 1001 || code === 1005 || code === 1006) return null;
  const words = reason.toLowerCase();
  const named = (type: string, name: string | null = null): Wire => ({
    type,
    code: name,
    message: reason === '' ? `Gemini closed the connection with ${code}` : reason,
    param: null,
    event_id: null,
  });
  if (/api key|unauthenticated|credential/.test(words)) return named('authentication_error', 'invalid_api_key');
  if (/quota|exhausted|rate limit|credits/.test(words)) {
    return named('rate_limit_error', /credit|billing/.test(words) ? 'credit_balance_exhausted' : 'rate_limit_exceeded');
  }
  if (/permission|location is not supported|not allowed/.test(words)) return named('permission_error');
  if (/not found/.test(words)) return named('invalid_request_error', 'model_not_found');
  if (code === 1007 || code === 1008) return named('invalid_request_error');
  if (code === 1011) return named('server_error');
  return null;
}
