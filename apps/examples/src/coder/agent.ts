// A voice session that hands work to an agent that works turn by turn. `coder.desk` is the call; `coder.fix` does the work, and
// what the agent did stands as notes in the workflow. Whoever calls again in the same session goes on with the same
// conversation.

import { ParleyError } from '@parley/core';
import { Agent, type SessionOptions } from '@parley/session';
import {
  type AgentConfig,
  type AgentRunner,
  type AgentSessionFactory,
  type AgentTurnResult,
  inExecution,
  type TurnOptions,
} from '@parley/turns';
import { z } from 'zod';

const live: SessionOptions = {
  provider: process.env['PARLEY_EXAMPLE_PROVIDER'] || 'simulator',
  transport: 'websocket',
  voice: 'marin',
};

const INSTRUCTIONS = `You mend small things in the working directory for somebody who is on the telephone.
Do what is asked for, and answer with one sentence that can be read out: no paths, no code, no markdown.`;

/** Minutes of work are no answer on the telephone. */
const FIX_SECONDS = 60;

/** What is said instead of an answer that could not be had. */
const SORRY = 'I could not do that. Shall I try again?';

/** The agent, on any backend of turn-based agents. */
export function coderAgent(factory: AgentSessionFactory, workingDirectory: string): Agent {
  const coder = new Agent('coder');
  const config: AgentConfig = { workingDirectory, sandbox: 'workspace-write', developerInstructions: INSTRUCTIONS };
  /** One conversation for each call that is under way. */
  const calls = new Map<string, Colleague>();

  const fix = coder.reasoner(
    'fix',
    {
      description: 'Mends something in the project, and says in one sentence what was done.',
      input: z.object({ problem: z.string() }),
      timeoutMs: (FIX_SECONDS + 10) * 1000,
      onInterrupt: 'cancel',
    },
    async ({ problem }, context) => {
      const options = { timeoutSeconds: FIX_SECONDS, ...inExecution(context) };
      const known = calls.get(context.sessionId ?? '');
      // Whoever does not call the desk has a conversation that ends with the work.
      await using alone = known ? undefined : new Colleague(await factory.runner(config));
      const { assistantText, usage } = await ((known ?? alone) as Colleague).turn(problem, options);
      return { spoken_response: assistantText, output_tokens: usage?.outputTokens ?? 0 };
    },
  );

  coder.session('desk', live, async (session) => {
    await using colleague = new Colleague(await factory.runner(config));
    calls.set(session.id, colleague);
    try {
      for await (const turn of session) {
        try {
          const { spoken_response } = await session.call(fix, { problem: turn.text }, { signal: turn.signal });
          await session.say(spoken_response);
        } catch (error) {
          // Who speaks over the work has taken it back. What failed is no reason to hang up.
          if (turn.signal.aborted) continue;
          session.log.warn('the work failed', { code: ParleyError.from(error).code });
          await session.say(SORRY);
        }
      }
    } finally {
      calls.delete(session.id);
    }
  });

  return coder;
}

/** A runner that is asked one thing after another: work that was interrupted takes a moment to end. */
class Colleague implements AsyncDisposable {
  readonly #runner: AgentRunner;
  #before: Promise<unknown> = Promise.resolve();

  constructor(runner: AgentRunner) {
    this.#runner = runner;
  }

  turn(prompt: string, options: TurnOptions): Promise<AgentTurnResult> {
    const turn = this.#before.then(() => this.#runner.turn(prompt, options));
    this.#before = turn.catch(() => undefined);
    return turn;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#runner.dispose();
  }
}
