// JSON that a command is given: in the argument, in a file, or piped.

import { readFileSync } from 'node:fs';
import { ParleyError } from '@parley/client';

/** Longest input that is read; the control plane takes no more in one body. */
const INPUT_BYTES_MAX = 4 * 1024 * 1024;

/**
 * The JSON behind `--in`: inline, `@file`, or `-` for stdin. Without `--in` a piped stdin is read; a terminal never is,
 * so that a command does not seem to hang.
 *
 * @throws ParleyError `invalid_argument`
 */
export async function readInput(argument: string | undefined): Promise<unknown> {
  if (argument === undefined) return process.stdin.isTTY ? undefined : parse(await stdin(), 'stdin');
  if (argument === '-') return parse(await stdin(), 'stdin');
  if (!argument.startsWith('@')) return parse(argument, '--in');
  const path = argument.slice(1);
  if (path === '') throw new ParleyError('invalid_argument', '--in @FILE needs the path of a file after the @');
  try {
    return parse(readFileSync(path, 'utf8'), path);
  } catch (cause) {
    if (cause instanceof ParleyError) throw cause;
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason';
    throw new ParleyError('invalid_argument', `--in file ${path} cannot be read (${why})`, { cause });
  }
}

/**
 * The text behind an option: inline, `@file`, or `-` for stdin.
 *
 * @throws ParleyError `invalid_argument`
 */
export async function readText(argument: string, option: string): Promise<string> {
  if (argument === '-') return stdin();
  if (!argument.startsWith('@')) return argument;
  const path = argument.slice(1);
  if (path === '') throw new ParleyError('invalid_argument', `${option} @FILE needs the path of a file after the @`);
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason';
    throw new ParleyError('invalid_argument', `${option} file ${path} cannot be read (${why})`, { cause });
  }
}

/** A text that is piped in. @throws ParleyError `invalid_argument` when there is none. */
export async function textInput(): Promise<string> {
  const text = process.stdin.isTTY ? '' : await stdin();
  if (text.trim() !== '') return text;
  throw new ParleyError('invalid_argument', 'give a prompt, as an argument or piped in');
}

/** Lines of stdin, without their ends; empty ones are left out. */
export async function* stdinLines(): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    const lines = (rest + String(chunk)).split(/\r?\n/);
    rest = lines.pop() ?? '';
    yield* lines.filter((line) => line.trim() !== '');
    if (rest.length > INPUT_BYTES_MAX) throw tooLong('a line of stdin');
  }
  if (rest.trim() !== '') yield rest;
}

async function stdin(): Promise<string> {
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    text += String(chunk);
    if (text.length > INPUT_BYTES_MAX) throw tooLong('stdin');
  }
  return text;
}

function tooLong(what: string): ParleyError {
  return new ParleyError('invalid_argument', `${what} is longer than ${INPUT_BYTES_MAX} bytes`);
}

function parse(text: string, where: string): unknown {
  // A pipe with nothing in it says nothing: cron jobs and supervisors give one to every command.
  if (text.trim() === '' && where === 'stdin') return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : 'unknown reason';
    throw new ParleyError('invalid_argument', `${where} must be JSON: ${why}`, { cause });
  }
}
