// A pipeline step that is done when its artifacts say so, not when an agent says so.

import type { JsonSchema, ParleyError } from '@parley/core';
import { turnError, turnFailureOf } from './failures.ts';
import { abortedError } from './request.ts';
import type { AgentRunner, AgentTurnResult, TurnOptions } from './runner.ts';

/** Timers go no further. */
const POLICY_MAX = 2 ** 31 - 1;

export interface RetryPolicy {
  /** Consecutive turns without progress after which it gives up. Default 3. */
  noProgressMax?: number | undefined;
  /** Turns altogether, however much progress there is. Default 50. */
  attemptsMax?: number | undefined;
  /** Milliseconds before the second of two turns without progress; doubles with each. Default 1000. */
  backoffMs?: number | undefined;
  /** Default 60,000. */
  backoffMaxMs?: number | undefined;
  /** Of each turn. Default 600. */
  turnTimeoutSeconds?: number | undefined;
}

export interface ResumeOptions<Artifacts> {
  /** The first prompt; what follows is `resumePrompt`, in the same conversation. */
  initialPrompt: string;
  /** Says to go on from what is there. */
  resumePrompt: (artifacts: Artifacts) => string;
  /** Looks at what the agent is to make, outside of the agent. */
  inspect: () => Artifacts | Promise<Artifacts>;
  isComplete: (artifacts: Artifacts) => boolean;
  /** Whether the second look shows more than the first. */
  madeProgress: (before: Artifacts, after: Artifacts) => boolean;
  /** What is done, for messages: `building the site`. */
  action: string;
  policy?: RetryPolicy | undefined;
  /** Asked for in every turn. */
  outputSchema?: JsonSchema | undefined;
  /** Interrupts a turn, and the pause between two. */
  signal?: AbortSignal | undefined;
  onEvent?: TurnOptions['onEvent'];
  onProgress?: TurnOptions['onProgress'];
}

/** Why it ended without the artifacts. */
export type GaveUp = 'no_progress' | 'attempts' | 'not_retryable';

export interface ResumeResult<Artifacts> {
  readonly ok: boolean;
  /** There when `ok` is false. */
  readonly gaveUp?: GaveUp;
  /** One sentence; empty when `ok`. */
  readonly message: string;
  /** Turns that were run. */
  readonly attempts: number;
  /** What turns ended with that failed, in order. A turn may fail and its artifacts be there all the same. */
  readonly errors: readonly ParleyError[];
  /** The last look. */
  readonly artifacts: Artifacts;
  /** Of the last turn that ended well. */
  readonly lastResult?: AgentTurnResult;
}

/**
 * Looks first, runs a turn, looks again, and goes on until the artifacts are complete. Progress resets the count of
 * tries and the pause between them; an error that no further turn can help (the backend is gone, the request is wrong,
 * the key is refused) ends it at once.
 *
 * @throws ParleyError `invalid_argument` for a policy without an end; `cancelled` when `signal` was aborted; whatever `inspect` and the other callbacks throw.
 * @example
 * const { ok, message } = await runTurnWithResume(runner, {
 *   action: 'writing the chapters',
 *   initialPrompt: 'Write chapters/1.md to chapters/9.md from outline.md.',
 *   resumePrompt: (found) => `Go on: ${9 - found.length} chapters are missing.`,
 *   inspect: () => readdir('chapters'),
 *   isComplete: (found) => found.length === 9,
 *   madeProgress: (before, after) => after.length > before.length,
 * });
 */
export async function runTurnWithResume<Artifacts>(
  runner: AgentRunner,
  options: ResumeOptions<Artifacts>,
): Promise<ResumeResult<Artifacts>> {
  const { inspect, isComplete, madeProgress, action, signal } = options;
  const { noProgressMax, attemptsMax, backoffMs, backoffMaxMs } = checkedPolicy(options.policy);
  const errors: ParleyError[] = [];
  let lastResult: AgentTurnResult | undefined;
  let attempts = 0;
  let idle = 0;

  const end = (artifacts: Artifacts, gaveUp?: GaveUp, words = ''): ResumeResult<Artifacts> => ({
    ok: gaveUp === undefined,
    ...(gaveUp && { gaveUp }),
    message: words,
    attempts,
    errors,
    artifacts,
    ...(lastResult && { lastResult }),
  });

  let before = await inspect();
  if (isComplete(before)) return end(before);
  for (;;) {
    if (signal?.aborted) throw abortedError(signal);
    const prompt = attempts === 0 ? options.initialPrompt : options.resumePrompt(before);
    attempts += 1;
    const outcome = await attempt(runner, prompt, options);
    if ('result' in outcome) lastResult = outcome.result;
    else errors.push(outcome.error);
    const last = 'error' in outcome ? `; the last turn failed: ${outcome.error.code}: ${outcome.error.message}` : '';

    const after = await inspect();
    if (isComplete(after)) return end(after);
    if ('error' in outcome && !outcome.error.retryable) {
      return end(after, 'not_retryable', `${action} cannot go on after ${turns(attempts)}${last}`);
    }
    const progress = madeProgress(before, after);
    before = after;
    idle = progress ? 0 : idle + 1;
    if (idle >= noProgressMax) {
      return end(after, 'no_progress', `the agent made no progress ${action} in ${turns(idle)} in a row${last}`);
    }
    if (attempts >= attemptsMax) {
      return end(after, 'attempts', `${action} is not complete after ${turns(attempts)}${last}`);
    }
    if (!progress) await sleep(Math.min(backoffMs * 2 ** (idle - 1), backoffMaxMs), signal);
  }
}

/** A limit that is no number would be no limit. */
function checkedPolicy({
  noProgressMax = 3,
  attemptsMax = 50,
  backoffMs = 1000,
  backoffMaxMs = 60_000,
}: RetryPolicy = {}): Record<'noProgressMax' | 'attemptsMax' | 'backoffMs' | 'backoffMaxMs', number> {
  const checked = { noProgressMax, attemptsMax, backoffMs, backoffMaxMs };
  for (const [name, value] of Object.entries(checked)) {
    const least = name.endsWith('Max') ? 1 : 0;
    if (value >= least && value <= POLICY_MAX) continue;
    throw turnError('invalid_argument', `policy.${name} must be a number from ${least} to ${POLICY_MAX}, got ${value}`);
  }
  return checked;
}

type Outcome = { result: AgentTurnResult } | { error: ParleyError };

async function attempt<Artifacts>(
  runner: AgentRunner,
  prompt: string,
  { outputSchema, signal, onEvent, onProgress, policy }: ResumeOptions<Artifacts>,
): Promise<Outcome> {
  try {
    const timeoutSeconds = policy?.turnTimeoutSeconds;
    return { result: await runner.turn(prompt, { timeoutSeconds, outputSchema, signal, onEvent, onProgress }) };
  } catch (error) {
    // Anything but a failed turn is a mistake in the callbacks, and an abort is the caller's wish.
    if (signal?.aborted || turnFailureOf(error) === null) throw error;
    return { error: error as ParleyError };
  }
}

function turns(count: number): string {
  return count === 1 ? '1 turn' : `${count} turns`;
}

function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(abortedError(signal));
    const wake = (): void => {
      clearTimeout(timer);
      reject(abortedError(signal as AbortSignal));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', wake);
      resolve();
    }, ms);
    signal?.addEventListener('abort', wake, { once: true });
  });
}
