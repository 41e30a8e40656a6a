// Where the Codex binary is. It comes with the npm package of one exact version, an optional peer: 400 MB are not for
// everybody who depends on this package. The binary itself is started, not its JavaScript wrapper, which would be one more process to
// signal.

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { turnError } from '@parley/turns';

/** The version of `@openai/codex` that this adapter is made for and tested with. */
export const CODEX_VERSION = '0.169.0';

export interface CodexBinary {
  readonly path: string;
  /** Folders that belong on the PATH of Codex, before the others. */
  readonly pathFolders: readonly string[];
}

/** Folder of the vendored files in the platform's package. */
const TRIPLES: Readonly<Record<string, string>> = {
  'linux-x64': 'x86_64-unknown-linux-musl',
  'linux-arm64': 'aarch64-unknown-linux-musl',
  'darwin-x64': 'x86_64-apple-darwin',
  'darwin-arm64': 'aarch64-apple-darwin',
  'win32-x64': 'x86_64-pc-windows-msvc',
  'win32-arm64': 'aarch64-pc-windows-msvc',
};

/**
 * Finds the binary.
 * @throws ParleyError `failed_precondition` (reason `backend_start_failed`) with the command that installs it.
 */
export function findCodex(codexPath?: string): CodexBinary {
  if (codexPath !== undefined) {
    if (!existsSync(codexPath)) throw missing(`there is no file ${codexPath}`);
    return { path: codexPath, pathFolders: [] };
  }
  const platform = `${process.platform}-${process.arch}`;
  const triple = TRIPLES[platform];
  if (!triple) throw missing(`Codex is not made for ${platform}`);
  const wrapper = manifestOf('@openai/codex', [import.meta.url, join(process.cwd(), 'package.json')]);
  if (!wrapper) throw missing('the package @openai/codex is not installed');
  if (wrapper.version !== CODEX_VERSION) {
    throw missing(`@openai/codex is installed in version ${wrapper.version}`);
  }
  const vendor = manifestOf(`@openai/codex-${platform}`, [wrapper.path]);
  if (!vendor) throw missing(`@openai/codex is installed without its binary for ${platform}`);
  const folder = join(dirname(vendor.path), 'vendor', triple);
  const path = join(folder, 'bin', process.platform === 'win32' ? 'codex.exe' : 'codex');
  if (!existsSync(path)) throw missing(`${path} is missing`);
  return { path, pathFolders: [join(folder, 'codex-path')].filter((one) => existsSync(one)) };
}

/** PATH with the folders of the binary first. */
export function pathOf({ pathFolders }: CodexBinary, path = process.env['PATH'] ?? ''): string {
  return [...pathFolders, path].filter((one) => one !== '').join(delimiter);
}

function manifestOf(name: string, from: readonly string[]): { path: string; version: string } | null {
  for (const origin of from) {
    try {
      const path = createRequire(origin).resolve(`${name}/package.json`);
      return { path, version: (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  return null;
}

function missing(why: string): Error {
  return turnError(
    'backend_start_failed',
    `Codex cannot be started: ${why}. Install it with: npm install @openai/codex@${CODEX_VERSION}`,
    { code: 'failed_precondition' },
  );
}
