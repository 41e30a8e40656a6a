// The second driver: WebRTC in TypeScript, for machines on which the native one does not load.
//
// It costs about three times the CPU of the first, and has no port that is shared between connections.

import { ParleyError, randomSuffix } from '@parley/core';
import type {
  RTCDataChannel,
  RTCPeerConnection,
  RTCPeerConnectionConfig,
  RTCRtpSender,
  RTCSessionDescription,
} from 'werift';
import { RtpWriter, type RtpPacket } from '../rtp.ts';
import { bareOffer, type MediaDirection, readOffer, reciprocal } from '../sdp/offer.ts';
import { ChannelSocket } from './channel-socket.ts';
import { Life } from './life.ts';
import type { MediaChannel, MediaEnd, MediaPeer, MediaState } from './media-peer.ts';
import { iceUrls, type PeerTerms } from './options.ts';

export type Werift = typeof import('werift');

const OPUS_PAYLOAD = 111;
const OPUS_FORMAT = 'minptime=10;useinbandfec=1';

export class WeriftPeer implements MediaPeer {
  readonly id = `peer_${randomSuffix()}`;
  readonly driver = 'werift';
  readonly #terms: PeerTerms;
  readonly #connection: RTCPeerConnection;
  readonly #life: Life;
  readonly #channels = new Set<ChannelSocket>();
  #sender: { native: RTCRtpSender; writer: RtpWriter } | null = null;
  #onChannel: ((channel: MediaChannel) => void) | null = null;
  #onAudio: ((packet: RtpPacket) => void) | null = null;

  constructor(library: Werift, terms: PeerTerms) {
    if (terms.udpMuxPort !== null) {
      throw new ParleyError('unimplemented', 'udpMuxPort needs node-datachannel, which does not load on this machine');
    }
    this.#terms = terms;
    this.#life = new Life(terms, () => this.#release());
    this.#connection = new library.RTCPeerConnection(configOf(library, terms));
    this.#connection.connectionStateChange.subscribe((state) => this.#stateChanged(state));
    this.#connection.iceConnectionStateChange.subscribe(() => {
      // It also says completed when gathering is; a pair was found when one is nominated.
      const found = this.#connection.iceTransports.some(({ connection }) => connection.nominated !== undefined);
      if (found) this.#life.iceConnected();
    });
    this.#connection.onDataChannel.subscribe((channel) => this.#channelOpened(channel));
    this.#connection.onTrack.subscribe((track) => {
      track.onReceiveRtp.subscribe(({ header, payload }) => {
        if (this.#life.state === 'ended') return;
        const { sequenceNumber: sequence, timestamp, marker, payloadType, ssrc } = header;
        this.#onAudio?.({ sequence, timestamp, marker, payloadType, ssrc, payload });
      });
    });
  }

  get state(): MediaState {
    return this.#life.state;
  }

  async answer(offer: string): Promise<string> {
    const { sdp, audio } = readOffer(offer);
    this.#life.begin();
    this.#addAudio(reciprocal(audio.direction), audio.opusPayload);
    try {
      await this.#connection.setRemoteDescription({ type: 'offer', sdp });
      const answer = await this.#connection.createAnswer();
      return await this.#described(answer);
    } catch (error) {
      this.close();
      if (error instanceof ParleyError) throw error;
      throw new ParleyError('invalid_argument', `the SDP offer cannot be answered: ${String(error)}`, { cause: error });
    }
  }

  async offer(): Promise<string> {
    this.#life.begin();
    this.#addAudio('sendrecv', OPUS_PAYLOAD);
    return bareOffer(await this.#described(await this.#connection.createOffer()));
  }

  async accept(answer: string): Promise<void> {
    try {
      await this.#connection.setRemoteDescription({ type: 'answer', sdp: answer });
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
    const sender = this.#sender;
    if (!sender || this.#life.state !== 'connected') return false;
    // It rejects when the transport went away, which the state of the connection says too.
    sender.native.sendRtp(sender.writer.write(packet, timestamp, marker)).catch(() => undefined);
    return true;
  }

  onEnd(listener: (end: MediaEnd) => void): void {
    this.#life.onEnd(listener);
  }

  close(): void {
    this.#life.closed('us');
  }

  #addAudio(direction: MediaDirection, payload: number): void {
    const transceiver = this.#connection.addTransceiver('audio', { direction });
    if (direction === 'sendrecv' || direction === 'sendonly') {
      this.#sender = { native: transceiver.sender, writer: new RtpWriter(payload) };
    }
  }

  async #described(description: RTCSessionDescription): Promise<string> {
    // Setting it gathers all candidates, each within its own time limit.
    const late = Promise.withResolvers<void>();
    const timer = this.#terms.clock.after(this.#terms.gatherMs, late.resolve);
    const set = this.#connection.setLocalDescription(description);
    await Promise.race([set, late.promise]);
    timer.cancel();
    const sdp = this.#life.state === 'ended' ? undefined : this.#connection.localDescription?.sdp;
    if (!sdp) throw new ParleyError('aborted', 'the peer was closed while it described itself');
    this.#watch();
    this.#life.described();
    return this.#ownCandidates(sdp);
  }

  /** Where the host is one that is no interface's (loopback), it lists the others too, whose sockets are not there. */
  #ownCandidates(sdp: string): string {
    const { host } = this.#terms;
    if (isEverywhere(host)) return sdp;
    const foreign = (line: string): boolean =>
      line.startsWith('a=candidate:') && line.endsWith('typ host') && !line.includes(` ${host} `);
    return sdp
      .split('\r\n')
      .filter((line) => !foreign(line.replace(/ generation .*$/u, '')))
      .join('\r\n');
  }

  /** A peer that hangs up says so in DTLS, or ends the association of the channels; neither shows in the state. */
  #watch(): void {
    const hungUp = (): void => {
      if (this.#life.state === 'connected') this.#life.closed('peer');
    };
    for (const transport of this.#connection.dtlsTransports) {
      transport.onStateChange.subscribe((state) => {
        if (state === 'closed') hungUp();
      });
    }
    this.#connection.sctpTransport?.sctp.stateChanged.closed.subscribe(hungUp);
  }

  #channelOpened(native: RTCDataChannel): void {
    if (this.#life.state === 'ended') return;
    const socket = this.#channel(native);
    socket.opened();
    this.#life.channelOpened();
    this.#onChannel?.(socket);
  }

  #channel(native: RTCDataChannel): ChannelSocket {
    const raw = {
      send: (text: string) => native.send(text),
      bufferedBytes: () => native.bufferedAmount,
      maxFrameBytes: () => this.#connection.sctp?.remoteMaxMessageSize ?? this.#terms.maxFrameBytes,
      close: () => native.close(),
    };
    const socket = new ChannelSocket(native.label, raw, this.#terms);
    this.#channels.add(socket);
    native.onMessage.subscribe((data) => socket.received(data));
    native.bufferedAmountLow.subscribe(() => socket.drained());
    native.stateChange.subscribe((state) => {
      if (state === 'open') socket.opened();
      if (state !== 'closed') return;
      this.#channels.delete(socket);
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
    for (const socket of this.#channels) socket.closed(1006);
    this.#channels.clear();
    // What it closes on the way may report once more; the end was told, and nothing waits for this one.
    this.#connection.close().catch(() => undefined);
  }
}

function configOf(library: Werift, terms: PeerTerms): RTCPeerConnectionConfig {
  const { host, portRange } = terms;
  const everywhere = isEverywhere(host);
  const opus = new library.RTCRtpCodecParameters({
    mimeType: 'audio/opus',
    clockRate: 48_000,
    channels: 2,
    payloadType: OPUS_PAYLOAD,
    parameters: OPUS_FORMAT,
  });
  return {
    // One transport for everything from the start: the second one of an offer would never be closed.
    bundlePolicy: 'max-bundle',
    codecs: { audio: [opus], video: [] },
    headerExtensions: { audio: [], video: [] },
    iceServers: terms.iceServers.flatMap((server) =>
      iceUrls(server).map(({ scheme, hostname, port, transport }) => ({
        urls: `${scheme}:${hostname}:${port}${scheme.startsWith('turn') ? `?transport=${transport}` : ''}`,
        ...(server.username === undefined ? {} : { username: server.username }),
        ...(server.credential === undefined ? {} : { credential: server.credential }),
      })),
    ),
    iceTransportPolicy: terms.iceTransportPolicy,
    iceUseTcp: false,
    iceUseIpv6: everywhere || host.includes(':'),
    maxMessageSize: terms.maxFrameBytes,
    ...(portRange === null ? {} : { icePortRange: [portRange[0], portRange[1]] as [number, number] }),
    ...(everywhere
      ? {}
      : {
          iceInterfaceAddresses: host.includes(':') ? { udp6: host } : { udp4: host },
          iceAdditionalHostAddresses: [host],
        }),
  };
}

function isEverywhere(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}
