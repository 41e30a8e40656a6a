// A voice session that hands work to an agent that works turn by turn. `coder.desk` is the call; `coder.fix` does the work, and
// what the agent did stands as notes in the workflow. Whoever calls again in the same session goes on with the same
// conversation.

import { Agent, type SessionOptions } from '@parley/session';
import { type AgentRunner, type AgentSessionFactory, inExecution } from '@parley/turns';
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

/** The agent, on any backend of turn-based agents. */
export function coderAgent(factory: AgentSessionFactory, workingDirectory: string): Agent {
  const coder = new Agent('coder');
  /** By session: one conversation for each call. */
  const runners = new Map<string, Promise<AgentRunner>>();

  const fix = coder.reasoner(
    'fix',
    {
      description: 'Mends something in the project, and says in one sentence what was done.',
      input: z.object({ problem: z.string() }),
      timeoutMs: (FIX_SECONDS + 10) * 1000,
      onInterrupt: 'cancel',
    },
    async ({ problem }, context) => {
      const runner = await runnerOf(context.sessionId ?? context.workflowId);
      const { assistantText, usage } = await runner.turn(problem, {
        timeoutSeconds: FIX_SECONDS,
        ...inExecution(context),
      });
      return { spoken_response: assistantText, output_tokens: usage?.outputTokens ?? 0 };
    },
  );

  coder.session('desk', live, async (session) => {
    try {
      for await (const turn of session) {
        const { spoken_response } = await session.call(fix, { problem: turn.text }, { signal: turn.signal });
        await session.say(spoken_response);
      }
    } finally {
      await hangUp(session.id);
    }
  });

  function runnerOf(call: string): Promise<AgentRunner> {
    let runner = runners.get(call);
    if (!runner) {
      runner = factory.runner({
        workingDirectory,
        sandbox: 'workspace-write',
        developerInstructions: INSTRUCTIONS,
      });
      runners.set(call, runner);
    }
    return runner;
  }

  async function hangUp(call: string): Promise<void> {
    const runner = runners.get(call);
    runners.delete(call);
    await (await runner)?.dispose();
  }

  return coder;
}
