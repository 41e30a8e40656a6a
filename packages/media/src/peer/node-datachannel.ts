// The first driver: libdatachannel through node-datachannel, with prebuilt binaries for the usual platforms.
//
// Its objects end with their JavaScript wrappers, so everything that lives is held here until it is closed.

import { randomSuffix } from '@parley/core';
import type { DataChannel, IceServer as NativeIceServer, PeerConnection, RtcConfig, Track } from 'node-datachannel';
import { ParleyError } from '@parley/core';
import { RtpWriter, readRtp, type RtpPacket } from '../rtp.ts';
import { bareOffer, type MediaDirection, readOffer, reciprocal } from '../sdp/offer.ts';
import { ChannelSocket } from './channel-socket.ts';
import { Life } from './life.ts';
import type { MediaChannel, MediaEnd, MediaPeer, MediaState } from './media-peer.ts';
import { iceUrls, type PeerTerms } from './options.ts';

export type NodeDataChannel = typeof import('node-datachannel');

const OPUS_PAYLOAD = 111;
const OPUS_FORMAT = 'minptime=10;useinbandfec=1';
const DIRECTIONS = { sendrecv: 'SendRecv', sendonly: 'SendOnly', recvonly: 'RecvOnly', inactive: 'Inactive' } as const;

export class NodeDataChannelPeer implements MediaPeer {
  readonly id = `peer_${randomSuffix()}`;
  readonly driver = 'node-datachannel';
  readonly #native: NodeDataChannel;
  readonly #terms: PeerTerms;
  readonly #connection: PeerConnection;
  readonly #life: Life;
  readonly #channels = new Set<{ native: DataChannel; socket: ChannelSocket }>();
  #audio: { track: Track; writer: RtpWriter; sends: boolean; open: boolean } | null = null;
  #onChannel: ((channel: MediaChannel) => void) | null = null;
  #onAudio: ((packet: RtpPacket) => void) | null = null;
  #gathered: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(native: NodeDataChannel, terms: PeerTerms) {
    this.#native = native;
    this.#terms = terms;
    this.#life = new Life(terms, () => this.#release());
    this.#connection = new native.PeerConnection(this.id, configOf(terms));
    this.#connection.onStateChange((state) => this.#stateChanged(state));
    this.#connection.onIceStateChange((state) => {
      if (state === 'connected' || state === 'completed') this.#life.iceConnected();
    });
    this.#connection.onGatheringStateChange((state) => {
      if (state === 'complete') this.#gathered.resolve();
    });
    this.#connection.onDataChannel((channel) => this.#channelOpened(channel));
  }

  get state(): MediaState {
    return this.#life.state;
  }

  async answer(offer: string): Promise<string> {
    const read = readOffer(offer);
    this.#life.begin();
    const { mid, direction, opusPayload } = read.audio;
    // Our own line is there before the offer is applied, so that the answer has our stream and Opus alone.
    this.#addAudio(mid, reciprocal(direction), opusPayload);
    try {
      this.#connection.setRemoteDescription(read.sdp, 'offer');
      this.#connection.setLocalDescription('answer');
    } catch (error) {
      this.close();
      throw new ParleyError('invalid_argument', `the SDP offer cannot be answered: ${String(error)}`, { cause: error });
    }
    return this.#described();
  }

  async offer(): Promise<string> {
    this.#life.begin();
    this.#addAudio('audio', 'sendrecv', OPUS_PAYLOAD);
    this.#connection.setLocalDescription('offer');
    return bareOffer(await this.#described());
  }

  async accept(answer: string): Promise<void> {
    try {
      this.#connection.setRemoteDescription(answer, 'answer');
    } catch (error) {
      throw new ParleyError('invalid_argument', `the SDP answer cannot be used: ${String(error)}`, { cause: error });
    }
  }

  openChannel(label: string): MediaChannel {
    return this.#channel(this.#connection.createDataChannel(label));
  }

  onConnected(listener: () => void): void {
    this.#life.onConnected(listener);
  }

  onChannel(listener: (channel: MediaChannel) => void): void {
    this.#onChannel = listener;
  }

  onAudio(listener: (packet: RtpPacket) => void): void {
    this.#onAudio = listener;
  }

  sendAudio(packet: Uint8Array, timestamp: number, marker = false): boolean {
    const audio = this.#audio;
    if (!audio?.sends || this.#life.state !== 'connected') return false;
    try {
      // Its event may come after the one that said connected.
      audio.open ||= audio.track.isOpen();
      if (!audio.open) return false;
      return audio.track.sendMessageBinary(audio.writer.write(packet, timestamp, marker));
    } catch {
      // The track closed under us; the end of the connection is told by its own event.
      return false;
    }
  }

  onEnd(listener: (end: MediaEnd) => void): void {
    this.#life.onEnd(listener);
  }

  close(): void {
    this.#life.closed('us');
  }

  #addAudio(mid: string, direction: MediaDirection, payload: number): void {
    const line = new this.#native.Audio(mid, DIRECTIONS[direction]);
    line.addOpusCodec(payload, OPUS_FORMAT);
    const writer = new RtpWriter(payload);
    const sends = direction === 'sendrecv' || direction === 'sendonly';
    if (sends) line.addSSRC(writer.ssrc, this.id, 'parley', 'audio');
    const track = this.#connection.addTrack(line);
    this.#audio = { track, writer, sends, open: false };
    track.onOpen(() => this.#life.secured());
    // Receiver reports: without them the far side does not know what arrives.
    track.setMediaHandler(new this.#native.RtcpReceivingSession());
    track.onMessage((message) => {
      if (this.#life.state === 'ended') return;
      const packet = readRtp(message);
      if (packet && packet.payloadType === payload) this.#onAudio?.(packet);
    });
  }

  async #described(): Promise<string> {
    const late = this.#terms.clock.after(this.#terms.gatherMs, () => this.#gathered.resolve());
    await this.#gathered.promise;
    late.cancel();
    const description = this.#life.state === 'ended' ? null : this.#connection.localDescription();
    if (!description) throw new ParleyError('aborted', 'the peer was closed while it described itself');
    this.#life.described();
    return description.sdp;
  }

  #channelOpened(native: DataChannel): void {
    if (this.#life.state === 'ended') return;
    const socket = this.#channel(native);
    socket.opened();
    this.#life.channelOpened();
    this.#onChannel?.(socket);
  }

  #channel(native: DataChannel): ChannelSocket {
    const raw = {
      send: (text: string) => void native.sendMessage(text),
      bufferedBytes: () => native.bufferedAmount(),
      maxFrameBytes: () => native.maxMessageSize(),
      close: () => native.close(),
    };
    const socket = new ChannelSocket(native.getLabel(), raw, this.#terms);
    const held = { native, socket };
    this.#channels.add(held);
    native.onOpen(() => socket.opened());
    native.onMessage((data) => socket.received(data));
    native.setBufferedAmountLowThreshold(0);
    native.onBufferedAmountLow(() => socket.drained());
    native.onClosed(() => {
      this.#channels.delete(held);
      socket.closed(1005);
    });
    return socket;
  }

  #stateChanged(state: string): void {
    if (state === 'connected') this.#life.connected();
    else if (state === 'disconnected') this.#life.disconnected();
    else if (state === 'failed') this.#life.failed();
    else if (state === 'closed') this.#life.closed('peer');
  }

  #release(): void {
    this.#gathered.resolve();
    for (const { native, socket } of this.#channels) {
      socket.closed(1006);
      native.close();
    }
    this.#channels.clear();
    this.#audio?.track.close();
    this.#connection.close();
  }
}

function configOf(terms: PeerTerms): RtcConfig {
  const { host, portRange, udpMuxPort } = terms;
  const everywhere = host === '0.0.0.0' || host === '::';
  const [begin, end] = udpMuxPort === null ? (portRange ?? [null, null]) : [udpMuxPort, udpMuxPort];
  return {
    iceServers: terms.iceServers.flatMap((server) => nativeServers(server)),
    iceTransportPolicy: terms.iceTransportPolicy,
    // Descriptions are made when everything is in them, and not at the first channel.
    disableAutoNegotiation: true,
    enableIceUdpMux: udpMuxPort !== null,
    maxMessageSize: terms.maxFrameBytes,
    ...(everywhere ? {} : { bindAddress: host }),
    ...(begin === null ? {} : { portRangeBegin: begin, portRangeEnd: end }),
  };
}

/** libdatachannel speaks STUN and TURN over UDP; URLs of other kinds are for other peers of the same list. */
function nativeServers(server: PeerTerms['iceServers'][number]): NativeIceServer[] {
  const { username = '', credential = '' } = server;
  return iceUrls(server).flatMap(({ scheme, hostname, port, transport }): NativeIceServer[] => {
    if (scheme === 'stun') return [{ hostname, port }];
    if (scheme !== 'turn' || transport !== 'udp') return [];
    return [{ hostname, port, username, password: credential, relayType: 'TurnUdp' }];
  });
}
