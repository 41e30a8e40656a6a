// What every command is given: the global options, and a client made of them.

import { readFileSync } from 'node:fs';
import { DEFAULT_URL, ParleyClient, ParleyError } from '@parley/client';
import type { Command } from 'commander';
import { note } from './output.ts';

export interface GlobalOptions {
  url?: string;
  key?: string;
  keyFile?: string;
  timeout?: string;
  json?: boolean;
}

export interface Context {
  url: string;
  key: string | undefined;
  timeoutMs: number;
  json: boolean;
  client: ParleyClient;
}

export const VERSION: string = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

const TIMEOUT_SECONDS = 30;

/** Reads the global options of a command. @throws ParleyError `invalid_argument` */
export function contextOf(command: Command): Context {
  const options = command.optsWithGlobals<GlobalOptions>();
  const url = urlOf(options);
  const key = keyOf(options);
  const timeoutMs = seconds('--timeout', options.timeout ?? String(TIMEOUT_SECONDS)) * 1000;
  const client = new ParleyClient({ url, key, timeoutMs, userAgent: `parley-cli/${VERSION}` });
  return { url, key, timeoutMs, json: options.json === true, client };
}

export function urlOf(options: GlobalOptions): string {
  return options.url ?? process.env['PARLEY_URL'] ?? DEFAULT_URL;
}

/** The key that was given, if any. One in the command line is taken, with a warning. */
export function keyOf(options: GlobalOptions): string | undefined {
  if (options.keyFile !== undefined) return keyInFile(options.keyFile);
  if (options.key !== undefined) {
    note(
      'parley: warning: a key in the command line is seen by every user of this machine; use PARLEY_KEY or --key-file',
    );
    return options.key;
  }
  return process.env['PARLEY_KEY'] || undefined;
}

function keyInFile(path: string): string {
  let key: string;
  try {
    key = readFileSync(path, 'utf8').trim();
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason';
    throw new ParleyError('invalid_argument', `the key file ${path} cannot be read (${why})`, { cause });
  }
  if (key === '') throw new ParleyError('invalid_argument', `the key file ${path} is empty`);
  return key;
}

/** A positive number of seconds. */
export function seconds(flag: string, text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new ParleyError('invalid_argument', `${flag} must be a number of seconds above 0, got '${text}'`);
}

/** A whole number in a range. */
export function integer(flag: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new ParleyError('invalid_argument', `${flag} must be an integer from ${min} to ${max}, got '${text}'`);
}
