// What the cases of the suite share.

import assert from 'node:assert/strict';
import type { AgentConfig } from '../config.ts';
import { type AgentTurnFailureReason, turnFailureOf } from '../failures.ts';
import type { AgentRunner, AgentSessionFactory, HostFunction } from '../runner.ts';

/** One adapter with a backend that can be told what to do. */
export interface AdapterUnderTest extends AsyncDisposable {
  /** Makes a factory that was not started. */
  factory(): AgentSessionFactory;
  /** A directory that exists, where agents may work. */
  readonly workingDirectory: string;
  /** Prompts that make the backend do something. */
  readonly prompts: {
    /** Answers with this text. */
    say(text: string): string;
    /** Answers with the number of prompts in the conversation so far. */
    count(): string;
    /** Answers with this text, after a while (some 100 ms). */
    sayLater(text: string): string;
    /** Never ends by itself. */
    hang(): string;
    /** The turn fails; the backend and the conversation are well. */
    fail(): string;
    /** Calls a host function, then answers with `done`. */
    call(name: string, input: unknown): string;
  };
  /** Resolves once the backend has begun to work on the prompt of `hang`. */
  hanging(): Promise<unknown>;
  /** The backend of this factory is lost. */
  lose(factory: AgentSessionFactory): void;
}

/** Cases by their names. */
export type Cases = Readonly<Record<string, (under: AdapterUnderTest) => Promise<void>>>;

export function configOf(under: AdapterUnderTest): AgentConfig {
  return { workingDirectory: under.workingDirectory };
}

export interface Ready extends AsyncDisposable {
  factory: AgentSessionFactory;
  runner: AgentRunner;
}

export async function ready(under: AdapterUnderTest, functions: readonly HostFunction[] = []): Promise<Ready> {
  const factory = under.factory();
  await factory.start();
  const runner = await factory.runner(configOf(under), { functions });
  return { factory, runner, [Symbol.asyncDispose]: () => factory.close() };
}

export interface Failure {
  code: string;
  message: string;
  retryable: boolean;
  details: Record<string, unknown> | undefined;
}

export async function failsWith(reason: AgentTurnFailureReason, work: Promise<unknown>): Promise<Failure> {
  const error: unknown = await work.then(
    () => assert.fail(`expected the failure ${reason}, and it succeeded`),
    (thrown: unknown) => thrown,
  );
  assert.equal(turnFailureOf(error), reason, `expected the failure ${reason}, got ${String(error)}`);
  return error as Failure;
}
