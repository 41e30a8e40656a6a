// The testee for TypeScript: one request a line on stdin, one answer a line on stdout. See README.md for the operations.

import { createInterface } from 'node:readline';
import { isDeepStrictEqual } from 'node:util';
import * as core from '@parley/core';

type Operation = (input: never) => unknown;

const OPERATIONS: Record<string, Operation> = {
  'declaration.parse': (input: unknown) => core.parseDeclaration(input),
  'declaration.field': ({ declaration, field }: { declaration: unknown; field: string }) => {
    const parsed = core.parseDeclaration(declaration) as unknown as Record<string, unknown>;
    return Object.hasOwn(parsed, field) ? { present: true, value: parsed[field] } : { present: false };
  },
  'function.parse': (input: unknown) => core.parseFunction(input),
  'pair.check': ({ provider, transport }: { provider?: unknown; transport?: unknown }) =>
    core.checkPair(provider, transport),
  'name.normalise': (input: string) => core.normaliseName(input),
  'target.parse': (input: string) => core.parseTarget(input),
  'contract.check': ({ name, value }: { name: core.ContractName; value: unknown }) => {
    core.checked(name, value);
    return null;
  },
  'error.read': (input: unknown) => core.ParleyError.from(input).toObject(),
  'error.close_code': ({ code, retryable }: { code: core.ErrorCode; retryable?: boolean }) =>
    core.closeCodeOf(code, retryable),
  'error.of_close': (input: number) => core.errorCodeOfClose(input),
  'error.http': (input: core.ErrorCode) => core.ERROR_CODES[input].http,
  'id.is': ({ kind, value }: { kind: core.IdKind; value: unknown }) => core.isId(kind, value),
  'tools.resolve': ({ agent, tools, functions }: ToolsInput) =>
    core.resolveTools(agent, tools, (owner, name) => functions.find((one) => one.agent === owner && one.name === name)),
  'workflow.fold': (input: core.ContractType<'ExecutionResource'>[]) => core.foldWorkflow(input),
  'session.fold': (input: { at_ms: number; event: core.SessionEvent }[]) => {
    let state = core.initialState();
    const lines = input.map(({ at_ms, event }) => {
      const { state: after, records, effects } = core.fold(state, event, at_ms);
      state = after;
      return { records, effects };
    });
    const log = JSON.parse(JSON.stringify(lines.flatMap((line) => line.records))) as core.EventRecord[];
    const replayed = core.replay(log, core.initialState()).state;
    return { lines, state, replayed: isDeepStrictEqual(replayed, JSON.parse(JSON.stringify(state))) };
  },
};

interface ToolsInput {
  agent: string;
  tools: string[];
  functions: (core.ContractType<'FunctionDeclaration'> & { agent: string })[];
}

function answer(op: string, input: unknown): object {
  const operation = Object.hasOwn(OPERATIONS, op) ? OPERATIONS[op] : undefined;
  if (!operation) return { error: { code: 'unimplemented', message: `no operation '${op}'` } };
  try {
    return { value: operation(input as never) ?? null };
  } catch (error) {
    const { code, message, details } = core.ParleyError.from(error, 'internal');
    return { error: { code, message, path: details?.['path'] } };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, op, input } = JSON.parse(line) as { id: number; op: string; input: unknown };
  process.stdout.write(`${JSON.stringify({ id, ...answer(op, input) })}\n`);
}
