import { ParleyError } from '@parley/core';
import { type Clock, systemClock } from '@parley/transport';

/** A STUN or TURN server, as browsers take it: `stun:HOST:PORT`, `turn:HOST:PORT?transport=udp`, `turns:…`. */
export interface IceServer {
  readonly urls: string | readonly string[];
  readonly username?: string | undefined;
  readonly credential?: string | undefined;
}

export interface MediaPeerOptions {
  /** The address whose sockets carry media. Default 127.0.0.1; `0.0.0.0` stands for every address of the machine. */
  host?: string | undefined;
  /** STUN and TURN servers. Default none. */
  iceServers?: readonly IceServer[] | undefined;
  /** `relay`: no address but those of TURN servers is told. node-datachannel still looks from its own. Default `all`. */
  iceTransportPolicy?: 'all' | 'relay' | undefined;
  /** UDP ports that may be used, both ends included. Default: any. */
  portRange?: readonly [number, number] | undefined;
  /** One UDP port for all connections; node-datachannel alone can do that. Default: one each. */
  udpMuxPort?: number | undefined;
  /** How long gathering candidates may take before the answer goes out with those found. Default 3 s. */
  gatherMs?: number | undefined;
  /** How long ICE and DTLS may take, counted from the answer. Default 15 s. */
  connectMs?: number | undefined;
  /** How long a connection that broke off has to come back. Default 10 s. */
  lostMs?: number | undefined;
  /** How long after connecting the far side may take to open a data channel; null: it need not. Default null. */
  channelMs?: number | null | undefined;
  /** A longer frame of the peer ends its channel; it stands in the description. Default 256 KiB. */
  maxFrameBytes?: number | undefined;
  /** What one channel may hold, read and not taken or sent and not gone, before it is ended. Default 8 MiB. */
  maxBufferedBytes?: number | undefined;
  /** `details.boundary` of errors. Default `client -> parley`. */
  boundary?: string | undefined;
  clock?: Clock | undefined;
}

export type PeerTerms = Required<{ [K in keyof MediaPeerOptions]: Exclude<MediaPeerOptions[K], undefined> }> & {
  portRange: readonly [number, number] | null;
  udpMuxPort: number | null;
};

export const MEDIA_PEER_DEFAULTS = {
  host: '127.0.0.1',
  gatherMs: 3_000,
  connectMs: 15_000,
  lostMs: 10_000,
  channelMs: null,
  maxFrameBytes: 256 * 1024,
  maxBufferedBytes: 8 * 1024 * 1024,
  boundary: 'client -> parley',
} as const;

/** Options with their defaults; throws `invalid_argument` for ports and servers that cannot be used. */
export function termsOf(options: MediaPeerOptions): PeerTerms {
  const { portRange = null, udpMuxPort = null } = options;
  const ports = [...(portRange ?? []), ...(udpMuxPort === null ? [] : [udpMuxPort])];
  if (ports.some((port) => !Number.isInteger(port) || port < 1 || port > 65_535)) {
    throw new ParleyError('invalid_argument', `ports must be whole numbers of 1 to 65535, got ${ports.join(', ')}`);
  }
  if (portRange && portRange[0] > portRange[1]) {
    throw new ParleyError('invalid_argument', `portRange must begin before it ends, got ${portRange.join(' to ')}`);
  }
  const set = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const iceServers = options.iceServers ?? [];
  for (const server of iceServers) iceUrls(server);
  return {
    ...MEDIA_PEER_DEFAULTS,
    iceTransportPolicy: 'all',
    clock: systemClock,
    ...(set as MediaPeerOptions),
    iceServers,
    portRange,
    udpMuxPort,
  } as PeerTerms;
}

export interface IceUrl {
  readonly scheme: 'stun' | 'stuns' | 'turn' | 'turns';
  readonly hostname: string;
  readonly port: number;
  readonly transport: 'udp' | 'tcp';
}

const ICE_URL = /^(stuns?|turns?):(\[[^\]]+\]|[^\s:/?[\]]+)(?::(\d+))?(?:\?transport=(udp|tcp))?$/u;

/** The URLs of a server, taken apart. Throws `invalid_argument` (without the credential) for one that is not one. */
export function iceUrls({ urls, username, credential }: IceServer): IceUrl[] {
  return (typeof urls === 'string' ? [urls] : urls).map((url) => {
    const match = ICE_URL.exec(url);
    if (!match) throw new ParleyError('invalid_argument', `expected a stun: or turn: URL, got ${JSON.stringify(url)}`);
    const scheme = match[1] as IceUrl['scheme'];
    const secure = scheme === 'stuns' || scheme === 'turns';
    if (scheme.startsWith('turn') && (!username || !credential)) {
      throw new ParleyError('invalid_argument', `${url} needs a username and a credential`);
    }
    return {
      scheme,
      hostname: (match[2] as string).replace(/^\[|\]$/gu, ''),
      port: match[3] === undefined ? (secure ? 5349 : 3478) : Number(match[3]),
      transport: (match[4] ?? (secure ? 'tcp' : 'udp')) as IceUrl['transport'],
    };
  });
}
