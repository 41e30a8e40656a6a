// How large a call is in a page: the README of the client says it, and this says whether it is still true.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const BUNDLE = 'packages/client/dist/bundle/browser.js';
const PAGE = 'packages/client/README.md';
const STATED = /(\d+(?:\.\d+)?) kB minified and gzipped/;

/** One sentence when the page says another size than the built bundle has; none when it is right. */
export function staleBundleSize(root: string): string[] {
  if (!existsSync(join(root, BUNDLE))) return [`${BUNDLE} is not built`];
  return sizeFaults(readFileSync(join(root, BUNDLE)), readFileSync(join(root, PAGE), 'utf8'));
}

export function sizeFaults(bundle: Uint8Array, page: string): string[] {
  const size = (gzipSync(bundle).length / 1000).toFixed(1);
  const stated = STATED.exec(page)?.[1];
  return stated === size ? [] : [`${PAGE} says ${stated ?? 'no'} kB minified and gzipped; the bundle has ${size} kB`];
}
