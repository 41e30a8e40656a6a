// The certificate that a server is given, checked before it listens.

import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { ParleyError } from '@parley/core';

export interface TlsFiles {
  /** PEM: the certificate and those between it and its authority. */
  cert: string;
  /** PEM: its private key. */
  key: string;
}

/**
 * Reads a certificate and its key from files; null when neither is named.
 * @throws ParleyError `invalid_argument` when one is missing or cannot be read.
 */
export function tlsOf(certFile: string | undefined, keyFile: string | undefined): TlsFiles | null {
  if (!certFile && !keyFile) return null;
  if (!certFile || !keyFile) {
    throw new ParleyError(
      'invalid_argument',
      `TLS needs a certificate and its key: set PARLEY_TLS_CERT and PARLEY_TLS_KEY (or --tls-cert and --tls-key); ${certFile ? 'the key' : 'the certificate'} is missing`,
    );
  }
  return checkedTls({ cert: read(certFile, 'certificate'), key: read(keyFile, 'key') });
}

/** Throws ParleyError `invalid_argument` when the two are no PEM or do not belong together. */
export function checkedTls(files: TlsFiles): TlsFiles {
  try {
    createSecureContext(files);
    return files;
  } catch (cause) {
    const { message } = cause as Error;
    throw new ParleyError('invalid_argument', `the TLS certificate and key cannot be used: ${message}`, { cause });
  }
}

function read(file: string, what: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new ParleyError('invalid_argument', `the TLS ${what} ${file} cannot be read: ${code ?? 'failed'}`, { cause });
  }
}
