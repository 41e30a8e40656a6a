import { generate } from 'selfsigned';

const VALID_DAYS = 30;

export interface Certificate {
  /** PEM */
  key: string;
  /** PEM; it signs itself, so it is also what a client must trust. */
  cert: string;
}

/** A certificate for this run: it names localhost, the loopback addresses and the host that is listened on. */
export async function selfSigned(host: string): Promise<Certificate> {
  const isAddress = /^[\d.]+$|:/u.test(host);
  const notBeforeDate = new Date();
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'Parley simulator' }], {
    algorithm: 'sha256',
    keyType: 'ec',
    curve: 'P-256',
    notBeforeDate,
    notAfterDate: new Date(notBeforeDate.getTime() + VALID_DAYS * 86_400_000),
    extensions: [
      { name: 'basicConstraints', cA: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
          { type: 7, ip: '::1' },
          ...(isAddress ? [{ type: 7 as const, ip: host }] : [{ type: 2 as const, value: host }]),
        ],
      },
    ],
  });
  return { key, cert };
}
