// parley turn PROMPT

import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { ParleyError } from '@parley/client';
import type { JsonSchema } from '@parley/core';
import { startCodex } from '@parley/codex';
import type { AgentTurnEvent, AgentTurnResult, ReasoningEffort, Sandbox } from '@parley/turns';
import type { Command } from 'commander';
import { type GlobalOptions, seconds } from '../context.ts';
import { readInput, textInput } from '../input.ts';
import { note, plain, write, writeJson } from '../output.ts';
import { untilSignal } from '../signals.ts';
import { backendOf, type BackendOptions } from '../turn/backend.ts';
import { Conversations } from '../turn/conversations.ts';

interface TurnCommandOptions extends BackendOptions {
  dir: string;
  schema?: string;
  resume?: boolean;
  limit?: string;
  effort?: string;
  sandbox?: string;
  instructions?: string;
}

export function turn(program: Command): void {
  program
    .command('turn [prompt]')
    .description(
      'give one turn of work to Codex in a directory; prints its answer, and what it does meanwhile on stderr',
    )
    .option('--dir <directory>', 'where it works', '.')
    .option('--schema <file>', 'the answer must be JSON of this strict JSON Schema; - for stdin')
    .option('--resume', 'go on with the last conversation of this directory')
    .option('--sandbox <mode>', 'read-only (default), workspace-write or danger-full-access')
    .option('--effort <level>', 'how much it thinks: none, minimal, low, medium, high, xhigh, ultra')
    .option('--instructions <text>', 'what it is told besides the prompt')
    .option('--limit <seconds>', 'how long it may work (default 600)')
    .option('--model <name>', 'the model (PARLEY_TURN_MODEL)')
    .option(
      '--provider-url <url>',
      'who runs it, by the Responses API (OPENAI_BASE_URL; default https://api.openai.com/v1)',
    )
    .option('--codex-home <directory>', 'a CODEX_HOME with a login, instead of a key in OPENAI_API_KEY')
    .option('--codex <path>', 'another codex binary than that of @openai/codex')
    .addHelpText(
      'after',
      `
Without a prompt a piped stdin is read. With --json each thing that happens is a line: event, progress, and at last result.
Nothing that the sandbox forbids is done; nobody is asked.

Examples:
  parley turn --dir . "What is this project?"
  parley turn --dir . --sandbox workspace-write "Make the tests pass." && parley turn --dir . --resume "Explain the change."
  parley turn --schema files.schema.json "Which files are generated?" | jq .files`,
    )
    .action(async (prompt: string | undefined, options: TurnCommandOptions, command: Command) => {
      const json = command.optsWithGlobals<GlobalOptions>().json === true;
      const asked = { prompt: prompt ?? (await textInput()), schema: await schemaOf(options.schema) };
      await runTurn(asked, options, json);
    });
}

async function runTurn(
  { prompt, schema }: { prompt: string; schema: JsonSchema | undefined },
  options: TurnCommandOptions,
  json: boolean,
): Promise<void> {
  const timeoutSeconds = options.limit === undefined ? undefined : seconds('--limit', options.limit);
  const workingDirectory = directory(options.dir);
  const conversations = new Conversations(workingDirectory);
  const backend = backendOf(options, conversations.home);
  const conversationId = options.resume ? conversations.last() : undefined;
  const stop = new AbortController();
  void untilSignal().then((signal) => {
    process.exitCode = signal === 'SIGINT' ? 130 : 143;
    stop.abort(signal);
  });

  const factory = await startCodex(backend);
  try {
    const runner = await factory.runner(
      {
        workingDirectory,
        sandbox: options.sandbox as Sandbox | undefined,
        reasoningEffort: options.effort as ReasoningEffort | undefined,
        approval: 'never',
        developerInstructions: options.instructions,
      },
      { conversationId },
    );
    const shown = { onEvent: show('event', json), onProgress: show('progress', json) };
    try {
      const result = await runner.turn(prompt, { timeoutSeconds, outputSchema: schema, signal: stop.signal, ...shown });
      await writeResult(result, runner.conversationId, schema !== undefined, json);
    } finally {
      // Also after a failure: the conversation is there, and can be gone on with.
      if (runner.conversationId !== null) conversations.remember(runner.conversationId);
    }
  } finally {
    await factory.close();
  }
}

/** Lines of stdout keep their order by themselves: a slow reader makes them wait, not the turn. */
function show(type: 'event' | 'progress', json: boolean): (event: AgentTurnEvent) => void {
  return (event) => {
    if (json) void writeJson({ type, ...event });
    else if (worthShowing(type, event)) note(plain(lineOf(type, event)));
  };
}

async function writeResult(
  { assistantText, structured, usage }: AgentTurnResult,
  conversation_id: string | null,
  checked: boolean,
  json: boolean,
): Promise<void> {
  if (json) {
    return writeJson({
      type: 'result',
      conversation_id,
      assistant_text: assistantText,
      ...(checked && { structured }),
      ...(usage && {
        usage: {
          input_tokens: usage.inputTokens,
          cached_tokens: usage.cachedTokens,
          output_tokens: usage.outputTokens,
          reasoning_tokens: usage.reasoningTokens,
        },
      }),
    });
  }
  if (checked) return writeJson(structured);
  return write(`${plain(assistantText)}\n`);
}

/** For a person: the answer comes on stdout anyway, and a command that began is only told again when it failed. */
function worthShowing(type: 'event' | 'progress', { kind, summary, metadata }: AgentTurnEvent): boolean {
  if (type === 'progress') return kind !== 'item.started' || summary.startsWith('commandExecution: ');
  if (kind === 'commandExecution') return metadata['exitCode'] !== 0;
  return kind !== 'agentMessage' || metadata['phase'] === 'commentary';
}

function lineOf(type: 'event' | 'progress', { kind, summary, metadata }: AgentTurnEvent): string {
  if (kind === 'item.started') return `… ${summary}`;
  const code =
    kind === 'commandExecution' && 'exitCode' in metadata ? ` (exit code ${String(metadata['exitCode'])})` : '';
  return `${type === 'event' ? '·' : '…'} ${kind}: ${summary}${code}`;
}

function directory(path: string): string {
  const full = resolve(path);
  if (statSync(full, { throwIfNoEntry: false })?.isDirectory()) return full;
  throw new ParleyError('invalid_argument', `--dir ${path} is no directory`);
}

async function schemaOf(path: string | undefined): Promise<JsonSchema | undefined> {
  if (path === undefined) return undefined;
  const schema = await readInput(path === '-' ? '-' : `@${path}`);
  if (typeof schema === 'object' && schema !== null && !Array.isArray(schema)) return schema as JsonSchema;
  throw new ParleyError('invalid_argument', `--schema ${path} must hold a JSON Schema, an object`);
}
