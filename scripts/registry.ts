// A registry of npm that has the packed packages of this workspace, and nothing else: what is not published yet can be
// installed by its name and version, as users will.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Tarball } from './published.ts';
import { run } from './workspace.ts';

export interface Registry {
  readonly url: string;
  close(): void;
}

/** Listens on a free port of 127.0.0.1. Its packages depend on each other, so the scope `@parley` must point there. */
export async function openRegistry(tarballs: readonly Tarball[]): Promise<Registry> {
  const packages = new Map<string, { manifest: Record<string, unknown>; bytes: Buffer }>();
  for (const { pkg, path } of tarballs) {
    // As it was packed: `workspace:*` is a version there.
    const { code, output } = await run('tar', ['-xzOf', path, 'package/package.json']);
    if (code !== 0) throw new Error(`could not read ${path}: ${output}`);
    packages.set(pkg.name, { manifest: JSON.parse(output) as Record<string, unknown>, bytes: readFileSync(path) });
  }
  const server = createServer((request, response) => {
    const [, name = '', file] = /^\/((?:@[^/]+\/)?[^/]+)(\/-\/.+)?$/.exec(decodeURIComponent(request.url ?? '')) ?? [];
    const found = packages.get(name);
    if (!found) return void response.writeHead(404).end('{}');
    if (file !== undefined) return void response.end(found.bytes);
    const { manifest, bytes } = found;
    const version = String(manifest['version']);
    const integrity = `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
    const dist = { tarball: `http://${request.headers.host}/${name}/-/${version}.tgz`, integrity };
    const versions = { [version]: { ...manifest, dist } };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ name, 'dist-tags': { latest: version }, versions }));
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
