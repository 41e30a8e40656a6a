// One HTTP request to a provider: bounded in time and size, with the authorities of the configuration. Every way in
// which it can end badly is a ParleyError that names the host and never the headers: keys travel there.

import { type IncomingHttpHeaders, request as plain } from 'node:http';
import { request as secure } from 'node:https';
import { getCACertificates } from 'node:tls';
import { ParleyError } from '@parley/core';

export interface HttpRequest {
  url: URL;
  headers: Readonly<Record<string, string>>;
  body?: Buffer | undefined;
  /** PEM of an authority to trust besides the system's. */
  ca?: string | undefined;
  timeout_ms: number;
  /** A longer answer is an error. */
  answer_bytes_max: number;
  signal?: AbortSignal | undefined;
}

export interface HttpAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

/** @throws ParleyError `unavailable`, `deadline_exceeded`, `cancelled` (the signal), `resource_exhausted` (the answer). */
export function post(options: HttpRequest): Promise<HttpAnswer> {
  const { url, headers, body, ca, timeout_ms, answer_bytes_max, signal } = options;
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
  if (signal?.aborted) {
    reject(aborted(url.host));
    return promise;
  }
  const request = (url.protocol === 'https:' ? secure : plain)(url, {
    method: 'POST',
    headers: { ...headers, 'content-length': String(body?.length ?? 0) },
    ...(ca === undefined ? {} : { ca: [...getCACertificates('default'), ca] }),
  });
  const fail = (error: ParleyError): void => {
    settle();
    // What a destroyed request says afterwards is known.
    request.on('error', ignoreLate);
    request.destroy();
    reject(error);
  };
  const timer = setTimeout(() => {
    fail(new ParleyError('deadline_exceeded', `${url.host} did not answer within ${timeout_ms} ms`));
  }, timeout_ms);
  const onAbort = (): void => fail(aborted(url.host));
  const onError = (error: Error): void => fail(unreachable(url.host, error));
  const settle = (): void => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
    request.off('error', onError);
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  request.on('error', onError);
  request.on('response', (response) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on('error', onError);
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > answer_bytes_max) {
        const message = `${url.host} answered with more than ${answer_bytes_max} bytes`;
        fail(new ParleyError('resource_exhausted', message, { retryable: false }));
      }
    });
    response.on('end', () => {
      settle();
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        text: Buffer.concat(chunks).toString(),
      });
    });
  });
  request.end(body);
  return promise;
}

function ignoreLate(): void {}

function aborted(host: string): ParleyError {
  return new ParleyError('cancelled', `the request to ${host} was aborted`);
}

function unreachable(host: string, error: Error): ParleyError {
  const system = 'code' in error ? String(error.code) : undefined;
  return new ParleyError('unavailable', `${host} could not be reached: ${system ?? error.message}`, {
    // A certificate that is wrong now is wrong in a second.
    retryable: !(system !== undefined && /CERT|SIGNED|SSL|TLS/.test(system)),
    details: system === undefined ? {} : { system_code: system },
    cause: error,
  });
}
