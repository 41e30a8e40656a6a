// What is OpenAI's, and where its clients put their keys: `Authorization: Bearer`, `api-key` (those of Azure), or, for
// pages, the subprotocol `openai-insecure-api-key.…`.

import type { IncomingHttpHeaders } from 'node:http';

const KEY_SUBPROTOCOL = 'openai-insecure-api-key.';
const BETA_SUBPROTOCOL = 'openai-beta.realtime-v1';

/** Whether a URL is answered in OpenAI's shapes. */
export function isDoor(url: string): boolean {
  return url.startsWith('/v1/');
}

/** The same headers with the key where this server looks for it. */
export function doorHeaders(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  if (headers.authorization !== undefined) return headers;
  const key = headers['api-key'];
  if (typeof key === 'string' && key !== '') return { ...headers, authorization: `Bearer ${key}` };
  const carrier = subprotocols(headers).find((one) => one.startsWith(KEY_SUBPROTOCOL));
  return carrier === undefined
    ? headers
    : { ...headers, authorization: `Bearer ${carrier.slice(KEY_SUBPROTOCOL.length)}` };
}

/** A client of the API before its release: its events have other names, and it cannot be served. */
export function isBeta(headers: IncomingHttpHeaders): boolean {
  const header = headers['openai-beta'];
  return String(header ?? '').includes('realtime=v1') || subprotocols(headers).includes(BETA_SUBPROTOCOL);
}

function subprotocols(headers: IncomingHttpHeaders): string[] {
  return (headers['sec-websocket-protocol'] ?? '').split(',').map((one) => one.trim());
}
