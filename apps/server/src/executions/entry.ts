// One unfinished execution in memory. Finished ones are only in the store.

import { type ExecutionResource, type FunctionDeclaration, parseTarget } from '@parley/core';
import type { Deadline } from '../agents/deadlines.ts';
import type { Instance } from '../agents/work.ts';

/**
 * Where an execution stands:
 *
 *   admitted -> waiting -> assigned -> sent -> running -> ending -> (out of memory)
 *                  ^___________|  ^______|(the link was closed cleanly before it was accepted)
 *
 * Any of them can go to `ending`; the first one that does decides. `recovered` stands where a restart found it.
 */
export type Phase =
  /** Its row is being written. */
  | { kind: 'admitted' }
  /** On disk with reason `waiting_for_agent`: surely never given out. */
  | { kind: 'waiting' }
  /** Has an instance; given out as soon as its row says so. */
  | { kind: 'assigned'; instance: Instance }
  /** Given out, not accepted yet. */
  | { kind: 'sent'; instance: Instance }
  | { kind: 'running'; instance: Instance }
  /** Given out before the server's last start, to whom is not known. */
  | { kind: 'recovered' }
  /** Has its end, which is being written; nobody has heard of it. `told` is the instance that waits for the answer. */
  | { kind: 'ending'; instance: Instance | null; end: ExecutionResource; told: Instance | null };

/** The `reason` of a row that was never given out. A restart may give such an execution to anybody. */
export const WAITING = 'waiting_for_agent';

export class Entry {
  /** What is known of it. Replaced and never changed: others hold it. */
  resource: ExecutionResource;
  readonly agent: string;
  readonly name: string;
  readonly depth: number;
  /** The input as JSON text, made once. */
  readonly input: string;
  readonly input_bytes: number;
  /** Monotonic time after which it times out. */
  readonly expires: number;
  /** Of its function, 0 when there is none. */
  readonly max_concurrent: number;
  /** Its row says that it may have been given out. */
  marked = false;
  phase: Phase = { kind: 'admitted' };
  deadline: Deadline | null = null;
  /** Unfinished ones that it called. Null while there are none, which is nearly always. */
  children: Set<Entry> | null = null;
  parent: Entry | null = null;
  notes: number;

  constructor(
    resource: ExecutionResource,
    given: {
      input: string;
      declaration: FunctionDeclaration | undefined;
      parent: Entry | null;
      expires: number;
    },
  ) {
    this.resource = resource;
    const { agent, name } = parseTarget(resource.target);
    this.agent = agent;
    this.name = name;
    this.input = given.input;
    this.input_bytes = Buffer.byteLength(given.input);
    this.expires = given.expires;
    this.max_concurrent = given.declaration?.max_concurrent ?? 0;
    this.parent = given.parent;
    this.depth = given.parent ? given.parent.depth + 1 : 0;
    this.notes = resource.notes?.length ?? 0;
  }

  get id(): string {
    return this.resource.execution_id;
  }

  /** Who has it, as far as is known. */
  get instance(): Instance | null {
    return 'instance' in this.phase ? this.phase.instance : null;
  }

  /** The frame that gives it out. Its input is put in as the text that it is. */
  dispatchFrame(now: number): string {
    const { execution_id, workflow_id, parent_execution_id, session_id } = this.resource;
    const head = JSON.stringify({
      type: 'execution.dispatch',
      execution_id,
      workflow_id,
      parent_execution_id,
      session_id,
      function: this.name,
      timeout_ms: Math.max(1, Math.ceil(this.expires - now)),
    });
    return `${head.slice(0, -1)},"input":${this.input}}`;
  }
}
