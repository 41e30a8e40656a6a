import { randomSuffix } from '@parley/core';
import type { MediaChannel, MediaPeer, OpusIn, Playout } from '@parley/media';
import type { WebSocket } from 'ws';
import { REAL_CLOCK } from '../clock.ts';
import type { Connection } from '../session/connection.ts';
import { channelLine, type Line, socketLine } from '../session/line.ts';
import type { Session } from '../session/session.ts';

// A session whose sound is carried by WebRTC: the media, the data channel of the caller, and sidebands beside it. It
// goes on as long as the media does, whichever of its lines come and go.

const CHANNEL = 'oai-events';
const LAST_FRAMES_MS = 50;

export interface CallParts {
  peer: MediaPeer;
  session: Session;
  connection: Connection;
  input: OpusIn;
  playout: Playout;
  sidebandsMax: number;
  /** The call is over. */
  ended: () => void;
}

/** A call, as tests see it. */
export interface SimulatorCall {
  /** `rtc_…` */
  readonly id: string;
  /** The id of its session. */
  readonly session: string;
  /** Of the media. */
  readonly state: MediaPeer['state'];
  /** Control connections by `call_id` that are open. */
  readonly sidebands: number;
  /** Cuts the sidebands; the call goes on, and they may come back. */
  dropSidebands(): void;
  /** Ends the call as `POST …/hangup` does. */
  hangUp(): void;
}

export class Call implements SimulatorCall {
  readonly id = `rtc_${randomSuffix()}`;
  readonly #parts: CallParts;
  #over = false;
  /** The media is gone. */
  readonly closed: Promise<void>;

  constructor(parts: CallParts) {
    this.#parts = parts;
    const { peer, session, input, playout } = parts;
    peer.onChannel((channel) => this.#channelOpened(channel));
    this.closed = new Promise((resolve) => peer.onEnd(() => resolve()));
    peer.onEnd(() => this.end(1000, 'the call is over'));
    if (session.echoes) {
      peer.onAudio(({ payload, timestamp, marker }) => void peer.sendAudio(payload, timestamp, marker));
      return;
    }
    peer.onConnected(() => playout.start());
    peer.onAudio((packet) => input.push(packet));
  }

  get session(): string {
    return this.#parts.session.id;
  }

  get state(): MediaPeer['state'] {
    return this.#parts.peer.state;
  }

  get sidebands(): number {
    return this.#parts.connection.lines('sideband').length;
  }

  /** Whether one more sideband fits. */
  get hasRoom(): boolean {
    return this.sidebands < this.#parts.sidebandsMax;
  }

  dropSidebands(): void {
    for (const line of this.#parts.connection.lines('sideband')) line.terminate();
  }

  hangUp(): void {
    this.end(1000, 'the call was hung up');
  }

  /** A control connection beside the data channel: it sees the same events and may send the same. */
  attach(socket: WebSocket): void {
    const line = socketLine(socket, 'sideband');
    socket.on('message', (data, binary) => this.#parts.session.receive(data, binary));
    socket.on('close', () => this.#parts.connection.detach(line));
    this.#greet(line);
  }

  #channelOpened(channel: MediaChannel): void {
    // The provider knows one label; what comes on another is for nobody.
    if (channel.label !== CHANNEL || this.#parts.connection.lines('channel').length > 0) return channel.close();
    const line = channelLine(channel);
    channel.onFrame((frame) => this.#parts.session.receive(frame, false));
    channel.onClose(() => this.#parts.connection.detach(line));
    this.#greet(line);
  }

  #greet(line: Line): void {
    this.#parts.connection.attach(line);
    this.#parts.session.begin(line);
  }

  /** Ends everything; the lines are closed with that code. */
  end(code: number, reason: string): void {
    if (this.#over) return;
    this.#over = true;
    const { peer, session, connection, input, playout, ended } = this.#parts;
    playout.close();
    input.close();
    session.end();
    connection.close(code, reason);
    // The last frames are on their way, in real time.
    REAL_CLOCK.after(LAST_FRAMES_MS, () => peer.close());
    ended();
  }
}
