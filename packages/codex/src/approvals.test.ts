import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test as base } from 'vitest';
import type { ApprovalDecision, ApprovalRequest } from './options.ts';
import { type Lab, lab } from './test-support/codex-test.ts';
import { runnerOf, shell, steps } from './test-support/workbench.ts';

const test = base.extend<Lab>(lab);

const ESCALATED = { sandbox_permissions: 'require_escalated', justification: 'The build needs it.' };

/** Answers in turn, and keeps what it was asked. */
function host(...answers: (ApprovalDecision | Error)[]) {
  const asked: ApprovalRequest[] = [];
  const approve = async (request: ApprovalRequest): Promise<ApprovalDecision> => {
    const answer = answers[asked.push(request) - 1] ?? 'decline';
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return { asked, approve };
}

test('under never nobody is asked, and what the sandbox does not allow is refused', async ({ lab }) => {
  const { asked, approve } = host('accept');
  const { runner } = await runnerOf(lab, { approve });
  const { assistantText } = await runner.turn(shell('echo x > made', ESCALATED));
  expect(assistantText).toBe('done');
  expect(asked).toEqual([]);
  expect(existsSync(join(lab.folder, 'made'))).toBe(false);
});

test('without a host to ask, what is asked for is declined, told to the model, and an event', async ({ lab }) => {
  const { runner } = await runnerOf(lab, {}, { approval: 'on-request' });
  const { events, assistantText } = await runner.turn(shell('echo x > made', ESCALATED));
  expect(assistantText).toBe('done');
  expect(events.find(({ kind }) => kind === 'approval')).toMatchObject({
    summary: expect.stringMatching(/^decline: .*echo x > made/) as string,
    metadata: { request: 'command', decision: 'decline', by: 'policy' },
  });
  expect(existsSync(join(lab.folder, 'made'))).toBe(false);
});

test('the host is asked with what it needs to decide, and its yes holds', async ({ lab }) => {
  const { asked, approve } = host('accept');
  const { runner } = await runnerOf(lab, { approve }, { approval: 'on-request' });
  const progress: string[] = [];
  await runner.turn(shell('echo x > made', ESCALATED), { onProgress: ({ kind }) => progress.push(kind) });
  expect(existsSync(join(lab.folder, 'made'))).toBe(true);
  expect(progress).toContain('approval.asked');
  expect(asked).toMatchObject([
    {
      kind: 'command',
      summary: expect.stringContaining('echo x > made') as string,
      reason: expect.stringContaining('The build needs it.') as string,
      conversationId: runner.conversationId,
      config: runner.config,
    },
  ]);
});

test('a host that fails has not said yes', async ({ lab }) => {
  const { approve } = host(new Error('nobody is at the desk'));
  const { runner } = await runnerOf(lab, { approve }, { approval: 'on-request' });
  const { events } = await runner.turn(shell('echo x > made', ESCALATED));
  expect(events.find(({ kind }) => kind === 'approval')?.metadata).toMatchObject({
    decision: 'decline',
    problem: 'nobody is at the desk',
  });
  expect(existsSync(join(lab.folder, 'made'))).toBe(false);
});

test('a host that interrupts ends the turn; the conversation goes on', async ({ lab }) => {
  const { approve } = host('interrupt');
  const { runner } = await runnerOf(lab, { approve }, { approval: 'on-request' });
  await expect(runner.turn(shell('echo x > made', ESCALATED))).rejects.toMatchObject({
    code: 'aborted',
    details: { reason: 'interrupted' },
  });
  expect((await runner.turn(steps({ text: 'after' }))).assistantText).toBe('after');
});

test('untrusted commands are asked about, one by one or for the rest of the conversation', async ({ lab }) => {
  const { asked, approve } = host('accept_for_session', 'decline');
  const { runner } = await runnerOf(lab, { approve }, { approval: 'untrusted', sandbox: 'danger-full-access' });
  for (const _ of [1, 2]) await runner.turn(shell('touch made'));
  expect(asked).toHaveLength(1);
  expect(existsSync(join(lab.folder, 'made'))).toBe(true);
});

test('a deadline during an approval says that the host was waited for, and tells the host', async ({ lab }) => {
  let told: AbortSignal | undefined;
  const approve = ({ signal }: ApprovalRequest): Promise<ApprovalDecision> => {
    told = signal;
    return new Promise(() => undefined);
  };
  const { runner } = await runnerOf(lab, { approve }, { approval: 'on-request' });
  await runner.turn(steps({ text: 'warm' }));
  await expect(runner.turn(shell('echo x', ESCALATED), { timeoutSeconds: 1 })).rejects.toMatchObject({
    details: { reason: 'timeout', waiting_for: expect.stringMatching(/^the host to approve command: /) as string },
  });
  expect(told?.aborted).toBe(true);
  expect((await runner.turn(steps({ text: 'after' }))).assistantText).toBe('after');
});

test('auto-review asks a model of the same provider, with the same key', async ({ lab }) => {
  const { asked, approve } = host();
  const { runner } = await runnerOf(lab, { approve }, { approval: 'auto-review' });
  await runner.turn(shell('echo x > made', ESCALATED));
  expect(asked).toEqual([]);
  // Two are the turn's own.
  expect(lab.provider.requests.length).toBeGreaterThan(2);
  expect(new Set(lab.provider.requests.map(({ headers }) => headers.authorization)).size).toBe(1);
  expect(existsSync(join(lab.folder, 'made'))).toBe(false);
});
