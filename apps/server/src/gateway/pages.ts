// The pages that come with the server: few, small, read once, and served by name only.

import { readdir, readFile } from 'node:fs/promises';
import { extname, join, relative } from 'node:path';
import type { FastifyInstance } from 'fastify';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.ico': 'image/x-icon',
  '.map': 'application/json',
  '.woff2': 'font/woff2',
};

const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "media-src 'self' blob:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Serves every file of `directory` under its path, `index.html` also at `/talk`. */
export async function servePages(app: FastifyInstance, directory: string): Promise<void> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    const type = TYPES[extname(entry.name)];
    if (type === undefined) continue;
    const body = await readFile(file);
    const path = `/${relative(directory, file).replaceAll('\\', '/')}`;
    // Files in assets/ are named after their content.
    const cache = path.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache';
    for (const url of path === '/index.html' ? ['/', '/talk'] : [path]) {
      app.get(url, async (_request, reply) =>
        reply
          .header('content-type', type)
          .header('cache-control', cache)
          .header('content-security-policy', CONTENT_SECURITY_POLICY)
          .header('permissions-policy', 'microphone=(self)')
          .header('referrer-policy', 'no-referrer')
          .send(body),
      );
    }
  }
}
