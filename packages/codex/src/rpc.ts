// JSON-RPC as the app-server speaks it: one object to a line, no `jsonrpc` member, requests in both directions.

export type Params = Readonly<Record<string, unknown>>;

/** A request that Codex refused. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  readonly code: number;
  readonly data: unknown;

  constructor(code: number, message: string, data: unknown) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

export interface RpcHandlers {
  notified(method: string, params: Params): void;
  /** Every request is answered: with what this resolves to, or with the RpcError that it rejects with. */
  asked(method: string, params: Params): Promise<unknown>;
  /** The other side no longer speaks the protocol. */
  broken(why: string): void;
}

interface Pending {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

const INTERNAL_ERROR = -32_603;

export class Rpc {
  readonly #write: (message: string) => void;
  readonly #handlers: RpcHandlers;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #over: Error | null = null;

  constructor(write: (message: string) => void, handlers: RpcHandlers) {
    this.#write = write;
    this.#handlers = handlers;
  }

  /** Resolves with the result. @throws RpcError when it was refused; the error of `end` when nobody will answer. */
  request(method: string, params: Params): Promise<unknown> {
    if (this.#over) return Promise.reject(this.#over);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#write(JSON.stringify({ id, method, params }));
    });
  }

  /** A request whose answer does not matter, and may never come. */
  post(method: string, params: Params): void {
    if (!this.#over) this.#write(JSON.stringify({ id: this.#nextId++, method, params }));
  }

  notify(method: string): void {
    if (!this.#over) this.#write(JSON.stringify({ method }));
  }

  receive(line: string): void {
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch {
      return this.#handlers.broken(`Codex wrote a line that is not JSON (${line.length} characters)`);
    }
    if (typeof message !== 'object' || message === null) {
      return this.#handlers.broken('Codex wrote a line that is no message');
    }
    const { id, method, params, result, error } = message as Record<string, unknown>;
    if (typeof method === 'string') {
      const given = asObject(params);
      if (id === undefined) this.#handlers.notified(method, given);
      else void this.#answer(id, method, given);
      return;
    }
    const pending = this.#pending.get(id as number);
    // What was posted has nobody who waits for it.
    if (!pending) return;
    this.#pending.delete(id as number);
    if (error === undefined) return pending.resolve(result);
    const { code, message: words, data } = asObject(error);
    pending.reject(new RpcError(typeof code === 'number' ? code : INTERNAL_ERROR, String(words), data));
  }

  /** Nobody will answer any more. */
  end(error: Error): void {
    this.#over ??= error;
    for (const pending of this.#pending.values()) pending.reject(this.#over);
    this.#pending.clear();
  }

  async #answer(id: unknown, method: string, params: Params): Promise<void> {
    let answer: string;
    try {
      answer = JSON.stringify({ id, result: await this.#handlers.asked(method, params) });
    } catch (error) {
      // What a host says may be no JSON, too: then it has said nothing.
      const code = error instanceof RpcError ? error.code : INTERNAL_ERROR;
      answer = JSON.stringify({ id, error: { code, message: error instanceof Error ? error.message : String(error) } });
    }
    if (!this.#over) this.#write(answer);
  }
}

/** An object's fields; of anything else none. */
export function asObject(value: unknown): Params {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Params) : {};
}

export function asText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
