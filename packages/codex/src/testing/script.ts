// What a prompt tells the scripted provider to do: steps, as JSON after a marker. Which step is next is the number of tool outputs
// after that prompt.

export interface ResponsesBody {
  readonly model: string;
  readonly instructions?: string;
  readonly input: readonly InputItem[];
  readonly tools?: readonly { readonly type: string; readonly name?: string }[];
  readonly text?: { readonly format?: { readonly type: string; readonly schema?: unknown; readonly strict?: boolean } };
  readonly reasoning?: { readonly effort?: string };
}

export interface InputItem {
  readonly type: string;
  readonly role?: string;
  readonly content?: readonly { readonly type: string; readonly text?: string }[];
  readonly output?: unknown;
}

/** One answer of the model. */
export type Step =
  | {
      readonly text: string;
      readonly phase?: 'commentary' | 'final_answer';
      readonly delayMs?: number;
      readonly chunks?: number;
    }
  /** Several items in one answer. */
  | { readonly items: readonly (MessageItem | CallItem)[] }
  | { readonly call: string; readonly input: unknown; readonly namespace?: string; readonly delayMs?: number }
  /** Answers with the number of prompts in the conversation. */
  | { readonly count: true }
  | { readonly status: number; readonly body?: unknown }
  | { readonly fails: { readonly code: string; readonly message: string } }
  /** Breaks the connection in the middle of the stream. */
  | { readonly drops: true }
  | { readonly hangs: true };

export interface MessageItem {
  readonly text: string;
  readonly phase?: string;
}
export interface CallItem {
  readonly call: string;
  readonly input: unknown;
  readonly namespace?: string;
}

const MARKER = '#steps:';

/** A prompt that says these words and makes the model take these steps. */
export function script(steps: readonly Step[], words = 'Do as scripted.'): string {
  return `${words}\n${MARKER}${JSON.stringify(steps)}`;
}

/** What a user said in a conversation, without what Codex says about itself. */
export function promptsOf(body: ResponsesBody): string[] {
  return body.input.filter(isPrompt).map((item) => textOf(item));
}

// Codex tells the model about the machine in the name of the user, in tags.
function isPrompt(item: InputItem): boolean {
  return item.type === 'message' && item.role === 'user' && !/^\s*<\w+>/.test(textOf(item));
}

/** @param stepsOf the steps of a prompt that has none in it. */
export function nextStep(body: ResponsesBody, stepsOf?: (prompt: string) => readonly Step[]): Step {
  const last = body.input.findLastIndex(isPrompt);
  const text = last < 0 ? '' : textOf(body.input[last] as InputItem);
  const steps = scriptIn(text) ?? stepsOf?.(text) ?? [{ text: 'nothing was scripted' }];
  const done = body.input.slice(last + 1).filter(({ type }) => type.endsWith('_call_output')).length;
  return steps[Math.min(done, steps.length - 1)] ?? { text: '' };
}

function scriptIn(prompt: string): readonly Step[] | null {
  const at = prompt.indexOf(MARKER);
  if (at < 0) return null;
  return JSON.parse(prompt.slice(at + MARKER.length).split('\n')[0] ?? '') as Step[];
}

function textOf(item: InputItem): string {
  return (item.content ?? []).map(({ text }) => text ?? '').join('');
}
