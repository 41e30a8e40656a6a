import { newId } from '@parley/core';
import type { Script, ScriptRule } from './script.ts';
import type { Entry, Hearing, ItemAudio } from './session/conversation.ts';
import { fitToSchema, smallestValue } from './smallest-value.ts';
import { fill, fillGroups } from './template.ts';
import { type FunctionTool, isObject, type ToolChoice, type Wire } from './wire.ts';

// The simulated model: from what stands in the context to what it says and calls. A pure function of its input.

/** What the model does, in order: each becomes one output item. */
export type Output =
  | { kind: 'say'; text: string }
  | { kind: 'playback'; audio: ItemAudio }
  | { kind: 'call'; callId: string; name: string; arguments: string };

/** What to say when the outputs of a batch of calls have come. */
export interface PendingCalls {
  callIds: string[];
  afterwards: string | undefined;
  onError: string | undefined;
  names: string[];
  match: RegExpMatchArray;
  heard: string;
}

export interface ModelInput {
  context: readonly Entry[];
  /** What the last user turn was; null where there is none. */
  hearing: Hearing | null;
  lastUser: Entry | null;
  tools: readonly FunctionTool[];
  toolChoice: ToolChoice;
  /** The tool choice stands in `response.create` itself, so it holds after tool outputs too. */
  toolChoiceIsExplicit: boolean;
  parallel: boolean;
  /** `instructions` of the `response.create`. */
  instructions: string | undefined;
  pending: (callId: string) => PendingCalls | undefined;
  /** The turn is the empty one of the idle timeout. */
  idle: boolean;
}

export interface ModelAnswer {
  outputs: Output[];
  pending: PendingCalls | null;
}

const HELLO = 'Hello.';
const STILL_THERE = 'Are you still there?';
/** The transcript of an answer that plays the caller's own voice back. */
export const PLAYBACK_TRANSCRIPT = '(plays back what it heard)';
const SAY_EXACTLY = /^\s*say exactly\s*:\s*([\s\S]*?)\s*$/iu;
const QUOTES: Record<string, string> = { '"': '"', "'": "'", '“': '”', '«': '»', '‘': '’' };

export function answer(script: Script, input: ModelInput): ModelAnswer {
  const verbatim = sayExactly(input.instructions);
  if (verbatim !== null) return say(verbatim);
  const outputs = trailingOutputs(input.context);
  const forced = forcedTool(input);
  if (outputs.length > 0 && !(forced && input.toolChoiceIsExplicit)) return afterOutputs(outputs, input);
  if (input.idle) return say(script.idle ?? STILL_THERE);
  const heard = input.hearing?.text ?? '';
  const rule = input.hearing && heard !== '' ? matchRule(script, heard) : null;
  if (rule) return byRule(script, rule, input, heard);
  if (forced) return { outputs: [callOf(forced, smallestValue(forced.parameters))], pending: null };
  if (!input.hearing || input.hearing.kind === 'silence') return say(script.greeting ?? HELLO);
  if (input.hearing.kind === 'voice' && input.lastUser?.audio) {
    return { outputs: [{ kind: 'playback', audio: input.lastUser.audio }], pending: null };
  }
  return say(otherwise(script, heard));
}

function say(text: string): ModelAnswer {
  return { outputs: [{ kind: 'say', text }], pending: null };
}

function otherwise(script: Script, heard: string): string {
  return fill(script.otherwise ?? 'You said: {{heard}}', { heard });
}

/** The text of instructions of the form `Say exactly: TEXT`; one pair of quotes around all of it falls away. */
export function sayExactly(instructions: string | undefined): string | null {
  const text = SAY_EXACTLY.exec(instructions ?? '')?.[1];
  if (text === undefined) return null;
  const closing = QUOTES[text[0] ?? ''];
  return closing && text.length > 1 && text.endsWith(closing) ? text.slice(1, -1) : text;
}

interface Match {
  rule: ScriptRule;
  match: RegExpMatchArray;
}

function matchRule(script: Script, heard: string): Match | null {
  for (const rule of script.rules ?? []) {
    const match = new RegExp(rule.heard, 'iu').exec(heard);
    if (match) return { rule, match };
  }
  return null;
}

function byRule(script: Script, { rule, match }: Match, input: ModelInput, heard: string): ModelAnswer {
  const outputs: Output[] = [];
  if (rule.say !== undefined) outputs.push({ kind: 'say', text: fill(fillGroups(rule.say, match), { heard }) });
  const scripted =
    rule.call === undefined || input.toolChoice === 'none' ? [] : Array.isArray(rule.call) ? rule.call : [rule.call];
  const unknown = scripted.find((call) => !input.tools.some((tool) => tool.name === call.name));
  if (unknown) return say(`I am sorry, I have no tool named ${unknown.name}. ${otherwise(script, heard)}`);
  const calls = (input.parallel ? scripted : scripted.slice(0, 1)).map((call) => {
    const tool = input.tools.find(({ name }) => name === call.name) as FunctionTool;
    return callOf(tool, fitToSchema(fillGroups(call.arguments ?? {}, match), tool.parameters));
  });
  if (outputs.length === 0 && calls.length === 0) return say(otherwise(script, heard));
  if (calls.length === 0) return { outputs, pending: null };
  const pending: PendingCalls = {
    callIds: calls.map((call) => call.callId),
    names: calls.map((call) => call.name),
    afterwards: rule.then,
    onError: rule.onError,
    match,
    heard,
  };
  return { outputs: [...outputs, ...calls], pending };
}

function callOf(tool: FunctionTool, args: unknown): Output & { kind: 'call' } {
  return { kind: 'call', callId: newId('call'), name: tool.name ?? '', arguments: JSON.stringify(args) };
}

function forcedTool({ toolChoice, tools }: ModelInput): FunctionTool | null {
  if (toolChoice === 'required') return tools.find((tool) => tool.type === 'function') ?? null;
  if (typeof toolChoice === 'string' || toolChoice.type !== 'function') return null;
  return tools.find((tool) => tool.name === toolChoice.name) ?? null;
}

/** The outputs that came since the last word of user or assistant. */
function trailingOutputs(context: readonly Entry[]): Entry[] {
  const last = context.findLastIndex(({ item }) => item.type === 'message' && item.role !== 'system');
  return context.slice(last + 1).filter(({ item }) => item.type === 'function_call_output');
}

function afterOutputs(entries: Entry[], input: ModelInput): ModelAnswer {
  const newest = entries.at(-1) as Entry;
  const batch = input.pending(newest.item.call_id ?? '');
  const relevant = batch
    ? batch.callIds.flatMap((id) => entries.find(({ item }) => item.call_id === id) ?? [])
    : entries;
  const outputs = relevant.map(({ item }) => parsed(item.output ?? ''));
  const failed = outputs.find((output): output is Wire => isObject(output) && output['error'] != null);
  const values = {
    heard: batch?.heard ?? '',
    output: outputs[0],
    outputs,
    error: failed ? errorText(failed['error']) : '',
  };
  const fillAll = (template: string) => fill(batch ? fillGroups(template, batch.match) : template, values);
  if (failed) return say(fillAll(batch?.onError ?? 'I am sorry, that did not work: {{error}}'));
  if (batch?.afterwards !== undefined) return say(fillAll(batch.afterwards));
  return say(
    outputs.length === 1 ? fill('The answer is {{output}}.', values) : fill('The answers are {{outputs}}.', values),
  );
}

function parsed(output: string): unknown {
  try {
    return JSON.parse(output) as unknown;
  } catch {
    // Tools may answer in plain words: those are the output then.
    return output;
  }
}

function errorText(error: unknown): string {
  if (typeof error === 'string') return error;
  if (isObject(error) && typeof error['message'] === 'string') return error['message'];
  return JSON.stringify(error);
}
