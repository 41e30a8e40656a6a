// What happens in a call: every frame goes to the dialogue, what follows from it is done, and what it comes to is shown.

import { ParleyError, type SessionResource } from '@parley/core';
import type { Emitter } from '../emitter.ts';
import type { SocketFrame } from '../frame-line.ts';
import { Answers } from './answers.ts';
import type { AudioSink } from './audio.ts';
import { isBusy, stateOf } from './call-state.ts';
import type { Connection } from './connection.ts';
import { type Action, type Dialogue, hear, newDialogue, reconnected } from './dialogue.ts';
import type { CallEvents, CallPath, CallState } from './events.ts';
import { asProblem } from './problems.ts';
import type { Tally } from './tally.ts';
import type { UserAudio } from './user-audio.ts';

export interface ConversationParts {
  path: CallPath;
  responder: SessionResource['responder'];
  sink: AudioSink;
  user: UserAudio;
  tally: Tally;
  emitter: Emitter<CallEvents>;
  connection: () => Connection;
  /** Nobody listens any more. */
  over: () => boolean;
  /** The loudspeaker broke. */
  failed: (error: ParleyError) => void;
}

export class Conversation {
  readonly #parts: ConversationParts;
  readonly #dialogue: Dialogue;
  readonly #answers: Answers;
  #state: CallState = 'connecting';

  constructor(parts: ConversationParts) {
    const { path, sink, tally, emitter, failed } = parts;
    this.#parts = parts;
    this.#dialogue = newDialogue(path === 'webrtc' ? 'there' : 'here');
    this.#answers = new Answers({ sink, dialogue: this.#dialogue, tally, emitter, failed });
  }

  get state(): CallState {
    return this.#state;
  }

  /** The provider has answered: audio may be sent. */
  get live(): boolean {
    return this.#dialogue.live;
  }

  /** Number of the newest entry of the log. */
  get seq(): number {
    return this.#dialogue.seq;
  }

  /** Whether the user says where a turn ends. */
  get pushToTalk(): boolean {
    return this.#dialogue.turnDetection === null;
  }

  /** Whether anything is said, answered or waited for. */
  get busy(): boolean {
    return isBusy(this.#dialogue, this.#answers.heard);
  }

  receive(frame: SocketFrame): void {
    const { over, user, emitter } = this.#parts;
    if (over()) return;
    this.#count();
    for (const action of hear(this.#dialogue, frame)) this.#do(action);
    user.gate.pushToTalk = this.pushToTalk;
    emitter.emit('frame', frame);
    this.#show();
  }

  /** Cuts the answer that is being heard; `cancel` also stops what is being generated. @throws ParleyError of the line. */
  cut(cancel: boolean): void {
    this.#answers.cut(this.#parts.connection().line, cancel);
  }

  /** Asks for an answer to the turn that has just ended. */
  ask(): void {
    // A handler is told of the turn by the server and answers it itself; a second answer must not be asked for.
    if (this.#parts.responder === 'model') this.#parts.connection().line.respond();
    this.#dialogue.awaiting = true;
    this.#show();
  }

  /** Looks at what changes with time: the audio that passed, and whether an answer was heard to its end. */
  look(): void {
    this.#count();
    this.#show();
  }

  /** The connection was cut: what was in flight on it is over. */
  cutOff(): void {
    this.#set('reconnecting');
    reconnected(this.#dialogue);
  }

  end(): void {
    this.#set('ended');
  }

  #do(action: Action): void {
    const { emitter, connection } = this.#parts;
    switch (action.do) {
      case 'play':
        return this.#answers.play(action.itemId, action.audio);
      case 'interrupt':
        return this.#interrupt(action.cancel);
      case 'interrupted':
        return this.#answers.wereCut(action.itemId, action.playedMs);
      case 'transcript':
        return emitter.emit('transcript', action.update);
      case 'tool':
        return emitter.emit('tool', action.update);
      case 'error': {
        const { code, message } = action;
        return emitter.emit('error', new ParleyError('failed_precondition', message, { details: { code } }));
      }
      case 'broken': {
        const told = ParleyError.from(action.error);
        const error = action.reason.includes('sideband') ? asProblem('sideband_lost', told) : told;
        connection().brokenBy(error);
        return emitter.emit('error', error);
      }
      case 'log':
        return emitter.emit('event', action.event);
      default:
        return action satisfies never;
    }
  }

  /** The user speaks over the answer. Nobody asked for this cut who could be told otherwise that it was refused. */
  #interrupt(cancel: boolean): void {
    try {
      this.cut(cancel);
    } catch (thrown) {
      this.#parts.emitter.emit('error', ParleyError.from(thrown));
    }
  }

  /** Audio that travels by itself is counted by the clock, up to now. */
  #count(): void {
    const { tally, user, connection, over } = this.#parts;
    // A microphone that was let go sends nothing more, however long the server takes to close the session.
    const carried = !over() && this.#dialogue.live && connection().line.path === 'webrtc';
    tally.passed(carried && user.travels, carried && this.#dialogue.playingId !== null);
  }

  #show(): void {
    if (this.#parts.over()) return;
    const state = stateOf(this.#dialogue, this.#answers.heard);
    if (state !== null) this.#set(state);
  }

  #set(state: CallState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#parts.emitter.emit('state', state);
  }
}
