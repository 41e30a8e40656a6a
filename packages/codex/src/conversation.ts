// One thread of Codex.
//
// C1  It begins with the first turn, and when that fails, with the next one.
// C2  An interrupt is sent after `turn/started` and once: before, Codex refuses it and the turn runs on; a second one
//     is never answered.
// C3  An interrupted turn is over when `turn/completed` says so and its commands are ended. If that cannot be had in
//     time, nobody knows what runs, and the backend is given up.

import { turnError, type CheckedAgentConfig, type HostFunction, type TurnRequest, untilAborted } from '@parley/turns';
import type { Backend, Listener } from './backend.ts';
import { conversationParams, dynamicTools, startupMsOf, withoutOthers } from './conversation-config.ts';
import { endLeftovers } from './leftovers.ts';
import type { McpServer } from './options.ts';
import { answerOf } from './requests.ts';
import { asObject, asText, type Params, RpcError } from './rpc.ts';
import { isUnknown, rejected } from './turn-failure.ts';
import { TurnRun } from './turn-run.ts';

export interface ConversationOptions {
  readonly backend: Backend;
  readonly config: CheckedAgentConfig;
  readonly functions: readonly HostFunction[];
  /** Goes on with this one. */
  readonly resumes: string | undefined;
}

const METHOD_NOT_FOUND = -32_601;

export class Conversation implements Listener {
  readonly #options: ConversationOptions;
  readonly #backend: Backend;
  #id: string | null = null;
  #opening: Promise<string> | null = null;
  #watched = false;
  #run: { turn: TurnRun; signal: AbortSignal } | null = null;

  constructor(options: ConversationOptions) {
    this.#options = options;
    this.#backend = options.backend;
  }

  get id(): string | null {
    return this.#id ?? this.#options.resumes ?? null;
  }

  /**
   * Runs a turn to its end, or until the signal is aborted and the turn was cleaned up.
   * @throws the reason of the signal; ParleyError `rejected`, and how the turn ended.
   */
  async run(request: TurnRequest, turn: TurnRun, signal: AbortSignal): Promise<void> {
    let begun = false;
    this.#run = { turn, signal };
    try {
      const opened = turn.waits(this.#beginning);
      const threadId = await untilAborted(this.#open(), signal);
      opened();
      begun = true;
      const started = this.#start(threadId, request, turn);
      const { error } = await untilAborted(
        started.then(() => turn.ended),
        signal,
      );
      // A turn that failed may leave commands as one that was interrupted does.
      if (error || this.#backend.settings.backgroundCommands === 'end') await this.#endCommands(turn);
      if (error) throw error;
    } catch (error) {
      if (signal.aborted && !this.#backend.lost.aborted) await this.#cleanUp(turn, begun);
      throw error;
    } finally {
      this.#run = null;
    }
  }

  /** Ends the conversation for good: Codex ends its turn and its commands, and frees its MCP servers. */
  async delete(): Promise<void> {
    // One that could not begin has nothing to end, and whoever asked for it was told.
    await this.#opening?.catch(() => undefined);
    const id = this.id;
    if (id === null || this.#backend.lost.aborted) return;
    const deleted = this.#backend.rpc.request('thread/delete', { threadId: id }).catch((error: unknown) => {
      // One that Codex does not know, or no longer, has ended.
      if (!(error instanceof RpcError && isUnknown(error))) throw error;
    });
    await this.#inTime(deleted, 'a conversation did not end in time');
    await this.#endLeftovers(id);
    this.#backend.forget(id);
  }

  notified(method: string, params: Params): void {
    const turn = this.#run?.turn;
    if (!turn) return;
    if (method === 'mcpServer/startupStatus/updated' && params['status'] === 'failed') {
      const name = asText(params['name']) ?? 'an MCP server';
      turn.progress('mcp.failed', `${name} did not start: ${asText(params['error']) ?? 'no reason was given'}`, params);
      return;
    }
    if (method === 'warning') return turn.progress('warning', asText(params['message']) ?? '', params);
    turn.notified(method, params);
  }

  async asked(method: string, params: Params): Promise<unknown> {
    const { config, functions } = this.#options;
    if (!this.#run) throw new RpcError(METHOD_NOT_FOUND, 'no turn is running', undefined);
    const over = new AbortController();
    const { turn, signal } = this.#run;
    void turn.ended.then(() => over.abort());
    return answerOf(method, params, {
      config,
      functions,
      conversationId: this.#id ?? '',
      approve: this.#backend.settings.approve,
      run: turn,
      signal: AbortSignal.any([signal, over.signal]),
    });
  }

  /** MCP servers without which it does not begin. */
  get #needed(): [name: string, server: McpServer][] {
    const { tools } = this.#options.config;
    return Object.entries(this.#backend.settings.mcpServers).filter(
      ([name, { required }]) => required === true && (tools === undefined || Object.hasOwn(tools, name)),
    );
  }

  get #beginning(): string {
    const names = this.#needed.map(([name]) => name);
    const what = 'Codex to begin the conversation';
    return names.length === 0 ? what : `${what}, with the MCP servers that it needs: ${names.join(', ')}`;
  }

  #open(): Promise<string> {
    if (this.#id !== null) return Promise.resolve(this.#id);
    return (this.#opening ??= this.#begin().finally(() => (this.#opening = null)));
  }

  /** C1 */
  async #begin(): Promise<string> {
    const { config, functions, resumes } = this.#options;
    const { rpc, settings } = this.#backend;
    try {
      const params = withoutOthers(conversationParams(config, settings), await this.#configuredServers(), settings);
      const tools = functions.length > 0 ? { dynamicTools: dynamicTools(functions) } : {};
      const answer =
        resumes === undefined
          ? await rpc.request('thread/start', { ...params, ...tools })
          : await rpc.request('thread/resume', { ...params, threadId: resumes, excludeTurns: true });
      const id = asText(asObject(asObject(answer)['thread'])['id']);
      if (id === undefined) throw this.#broken('Codex began a conversation without an id');
      this.#id = id;
      this.#backend.listen(id, this);
      return id;
    } catch (error) {
      throw error instanceof RpcError ? rejected('the conversation', error) : error;
    }
  }

  /** MCP servers that a home of the user's own, or the project that it trusts, has in its config. */
  async #configuredServers(): Promise<string[]> {
    const { rpc, settings } = this.#backend;
    if (settings.home === undefined) return [];
    const read = await rpc.request('config/read', { includeLayers: false, cwd: this.#options.config.workingDirectory });
    return Object.keys(asObject(asObject(asObject(read)['config'])['mcp_servers']));
  }

  async #start(threadId: string, request: TurnRequest, turn: TurnRun): Promise<void> {
    const { prompt, outputSchema } = request;
    const input = [{ type: 'text', text: prompt, text_elements: [] }];
    try {
      const answer = await this.#backend.rpc.request('turn/start', {
        threadId,
        input,
        ...(outputSchema && { outputSchema }),
      });
      const id = asText(asObject(asObject(answer)['turn'])['id']);
      if (id === undefined) throw this.#broken('Codex began a turn without an id');
      turn.accept(id);
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      turn.fail(rejected('the turn', error));
    }
  }

  /** C2, C3 */
  async #cleanUp(turn: TurnRun, begun: boolean): Promise<void> {
    // The start of a conversation cannot be taken back, and nothing of the turn runs: the next turn goes on with it.
    if (!begun) return this.#watchOpening();
    const ended = turn.begun.then(() => {
      if (!turn.over) this.#backend.rpc.post('turn/interrupt', { threadId: this.#id, turnId: turn.id });
      return turn.ended;
    });
    if (await this.#inTime(ended, 'an interrupted turn did not end in time')) await this.#endCommands(turn);
  }

  /** A start that nobody waits for may take as long as its MCP servers may; past that nobody knows what Codex does. */
  #watchOpening(): void {
    const opening = this.#opening;
    if (opening === null || this.#watched) return;
    this.#watched = true;
    const ms = this.#backend.settings.cleanUpMs + Math.max(0, ...this.#needed.map(([, server]) => startupMsOf(server)));
    const late = setTimeout(() => this.#backend.invalidate(`a conversation did not begin in time (${ms} ms)`), ms);
    const settled = (): void => {
      clearTimeout(late);
      this.#watched = false;
    };
    opening.then(settled, settled);
  }

  async #endCommands(turn: TurnRun): Promise<void> {
    if (!turn.ranCommand || this.#id === null) return;
    if (this.#backend.settings.experimentalApi) {
      const clean = this.#backend.rpc.request('thread/backgroundTerminals/clean', { threadId: this.#id });
      const cleaned = clean.catch((error: unknown) => {
        if (!(error instanceof RpcError)) throw error;
        // What Codex does not end is ended by its mark, below.
        turn.progress('warning', `Codex did not end the commands of the turn: ${error.message}`);
      });
      if (!(await this.#inTime(cleaned, 'commands of a turn did not end in time'))) return;
    }
    await this.#endLeftovers(this.#id);
  }

  async #endLeftovers(id: string): Promise<void> {
    const ended = await endLeftovers(new Set([id]), this.#backend.settings.cleanUpMs);
    if (!ended) this.#backend.invalidate('a command of a turn cannot be ended');
  }

  /** False when the backend was given up over it. */
  async #inTime(work: Promise<unknown>, why: string): Promise<boolean> {
    const { cleanUpMs } = this.#backend.settings;
    const late = setTimeout(() => this.#backend.invalidate(`${why} (${cleanUpMs} ms)`), cleanUpMs);
    try {
      await untilAborted(work, this.#backend.lost);
      return true;
    } catch (error) {
      if (this.#backend.lost.aborted) return false;
      throw error instanceof RpcError ? rejected('the end of the conversation', error) : error;
    } finally {
      clearTimeout(late);
    }
  }

  #broken(why: string): Error {
    this.#backend.invalidate(why);
    return turnError('backend_invalid', why);
  }
}
