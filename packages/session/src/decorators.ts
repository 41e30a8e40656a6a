// The same declarations as decorators (TC39). They need a compiler that lowers them, such as tsc; the function form
// needs none.

import { ParleyError, type SchemaLike } from '@parley/core';
import type { Context } from './context.ts';
import type { FunctionBody, FunctionOptions } from './functions.ts';
import type { RealtimeSession } from './realtime-session.ts';
import type { Parsed } from './schema.ts';
import type { SessionHandler, SessionOptions } from './session-options.ts';

type Tag =
  | { kind: 'session'; name: string; options: SessionOptions }
  | { kind: 'reasoner' | 'skill'; name: string; options: FunctionOptions };

export type DeclaredMember =
  | { kind: 'session'; name: string; options: SessionOptions; body: SessionHandler }
  | { kind: 'reasoner' | 'skill'; name: string; options: FunctionOptions; body: FunctionBody };

// Tagged by the method and the class themselves: context.metadata is undefined where the runtime has no
// Symbol.metadata.
const TAGS = new WeakMap<object, Tag>();
const NAMES = new WeakMap<object, string>();

type Method<Input, Result> = (this: never, input: Input, context: Context) => Result;

/**
 * Names the agent that a class is.
 *
 * @example
 * @agent('support')
 * class Support {
 *   @session({ provider: 'simulator', transport: 'websocket', tools: ['find_order'] })
 *   async desk(session: RealtimeSession) {
 *     for await (const turn of session) await session.say(`You said ${turn.text}.`);
 *   }
 *   @skill({ input: z.object({ order: z.string() }) })
 *   find_order({ order }: { order: string }) {
 *     return orders.get(order);
 *   }
 * }
 * await Agent.from(new Support()).serve();
 */
export function agent(name: string) {
  return <Class extends abstract new (...args: never[]) => object>(
    target: Class,
    _context: ClassDecoratorContext<Class>,
  ): void => {
    NAMES.set(target, name);
  };
}

/** The method is the handler of a session of its name. */
export function session(options: SessionOptions & { name?: string }) {
  return (
    method: (this: never, session: RealtimeSession) => Promise<void> | void,
    context: ClassMethodDecoratorContext,
  ): void => {
    const { name, ...rest } = options;
    tag(method, context, { kind: 'session', name: name ?? String(context.name), options: rest });
  };
}

/** The method is a reasoner of its name. */
export function reasoner<S extends SchemaLike = SchemaLike>(options: FunctionOptions<S> & { name?: string } = {}) {
  return functionTag<S>('reasoner', options);
}

/** The method is a skill of its name. */
export function skill<S extends SchemaLike = SchemaLike>(options: FunctionOptions<S> & { name?: string } = {}) {
  return functionTag<S>('skill', options);
}

function functionTag<S extends SchemaLike>(
  kind: 'reasoner' | 'skill',
  { name, ...options }: FunctionOptions<S> & { name?: string },
) {
  return (method: Method<Parsed<S>, unknown>, context: ClassMethodDecoratorContext): void =>
    tag(method, context, { kind, name: name ?? String(context.name), options });
}

function tag(method: object, context: ClassMethodDecoratorContext, value: Tag): void {
  if (context.static || context.private) {
    throw new ParleyError('invalid_argument', `only a public method can be a ${value.kind}: ${String(context.name)}`);
  }
  if (TAGS.has(method)) {
    throw new ParleyError('already_exists', `method ${String(context.name)} is a ${TAGS.get(method)?.kind} already`);
  }
  TAGS.set(method, value);
}

/** What the class of an instance declares, its base classes first. Throws ParleyError `invalid_argument`. */
export function declaredOn(instance: object): { name: string; members: DeclaredMember[] } {
  const found = new Map<string, DeclaredMember>();
  let name: string | undefined;
  const chain: object[] = [];
  for (
    let at: unknown = Object.getPrototypeOf(instance);
    typeof at === 'object' && at !== null;
    at = Object.getPrototypeOf(at)
  ) {
    chain.push(at);
    name ??= NAMES.get(at.constructor);
  }
  if (name === undefined) {
    throw new ParleyError('invalid_argument', `class ${instance.constructor.name} has no @agent('name') decorator`);
  }
  for (const prototype of chain.reverse()) {
    for (const key of Reflect.ownKeys(prototype)) {
      const method: unknown = Object.getOwnPropertyDescriptor(prototype, key)?.value;
      if (typeof method !== 'function') continue;
      const member = TAGS.get(method);
      // A method that overrides a declared one without a decorator of its own is no longer declared.
      if (!member) found.delete(String(key));
      else found.set(String(key), { ...member, body: method.bind(instance) } as DeclaredMember);
    }
  }
  return { name, members: [...found.values()] };
}
