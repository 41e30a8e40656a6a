// One HTTP request to the provider: bounded in time and in what is read, and ended by its signal.

import { type IncomingMessage, request as plain, type RequestOptions } from 'node:http';
import { request as secure } from 'node:https';
import { getCACertificates } from 'node:tls';
import { Failure, failureOfStatus } from './failure.ts';

/** Where the provider is, and how it is told who asks. */
export interface Endpoint {
  /** `https://…/v1/` */
  base: URL;
  key: string | undefined;
  ca: string | undefined;
  /** Until the first byte of an answer; and how long an answer may be silent. */
  silence_ms: number;
}

export interface Body {
  type: string;
  bytes: Buffer;
}

const STRANGER = 'certificate_not_trusted';
const ERROR_BYTES_MAX = 16 * 1024;

/**
 * Resolves with an answer of status 2xx, whose body is still to be read.
 *
 * @throws Failure; the reason of the signal when it was aborted.
 */
export function ask(at: Endpoint, path: string, body: Body | null, signal: AbortSignal): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const url = new URL(path, at.base);
  const options: RequestOptions = {
    method: body === null ? 'GET' : 'POST',
    signal,
    headers: {
      accept: 'text/event-stream, application/json',
      ...(at.key === undefined ? {} : { authorization: `Bearer ${at.key}` }),
      ...(body === null ? {} : { 'content-type': body.type, 'content-length': body.bytes.length }),
    },
  };
  const ca = at.ca === undefined ? {} : { ca: [...getCACertificates('default'), at.ca] };
  const request = url.protocol === 'https:' ? secure(url, { ...options, ...ca }) : plain(url, options);
  // Covers the connecting, the waiting for an answer and every pause within it.
  request.setTimeout(at.silence_ms, () => {
    request.destroy(new Failure('timeout_error', `the provider was silent for ${at.silence_ms} ms`));
  });
  request.on('error', (error: NodeJS.ErrnoException) => reject(failureOf(error, signal, url.host)));
  request.on('response', (response) => {
    const { statusCode = 0, headers } = response;
    // Whoever reads it hears of it there; one that nobody reads any more may break.
    response.on('error', () => undefined);
    if (statusCode >= 200 && statusCode < 300) return resolve(response);
    textOf(response, ERROR_BYTES_MAX).then(
      (text) => reject(failureOfStatus(statusCode, text, headers['retry-after'])),
      (error: unknown) => reject(error as Error),
    );
  });
  request.end(body?.bytes);
  return promise;
}

/** A broken connection as a failure; an abort as its reason. */
export function failureOf(error: unknown, signal: AbortSignal, host: string): Error {
  if (signal.aborted) return signal.reason as Error;
  if (error instanceof Failure) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  // Whoever is there is not whom we know, however often one asks.
  const stranger = code !== undefined && /CERT|SIGNED|SSL|TLS/.test(code);
  return new Failure(
    'connection_error',
    `no connection to ${host}: ${code ?? message}`,
    stranger ? { code: STRANGER } : {},
  );
}

/** The text of an answer, as far as it is wanted. */
export async function textOf(response: IncomingMessage, bytesMax: number): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    parts.push(part);
    bytes += part.length;
    if (bytes > bytesMax) break;
  }
  return Buffer.concat(parts).subarray(0, bytesMax).toString();
}
