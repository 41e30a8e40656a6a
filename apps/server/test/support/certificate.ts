import { generate } from 'selfsigned';

/** A certificate of this run for loopback names; it is also what a client must trust. */
export async function certificate(): Promise<{ cert: string; key: string }> {
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'Parley test' }], {
    algorithm: 'sha256',
    keyType: 'ec',
    curve: 'P-256',
    extensions: [
      { name: 'basicConstraints', cA: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ],
  });
  return { key, cert };
}
