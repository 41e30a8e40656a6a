import { ParleyError } from '@parley/core';

// What an SDP offer asks for, as far as a call is concerned: one audio line with Opus, and perhaps a data channel.
// The rest of the description is the driver's.

/** Longer descriptions are refused unread: a browser's offer of one audio line has 2 to 6 KB. */
export const SDP_BYTES_MAX = 64 * 1024;

export type MediaDirection = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';

export interface MediaOffer {
  /** The description, without candidates that only a browser's own network can resolve. */
  readonly sdp: string;
  readonly audio: {
    readonly mid: string;
    /** What the offerer wants to do with audio. */
    readonly direction: MediaDirection;
    /** The RTP payload type that means Opus on this connection. */
    readonly opusPayload: number;
  };
  /** Whether the offer asks for data channels. */
  readonly channels: boolean;
}

/**
 * An offer of ours, as it goes out. The answerer finds us by our packets: one that knew our addresses could begin its
 * handshake while its answer is still being read, and libdatachannel then refuses a certificate that nobody vouched for.
 */
export function bareOffer(sdp: string): string {
  return sdp.replace(/^a=(?:candidate:|end-of-candidates).*\r?\n/gmu, '');
}

interface Section {
  kind: string;
  lines: string[];
}

/**
 * Reads an offer. Throws `invalid_argument` that says what is missing where it is not one that can be answered.
 *
 * @param sdp a whole offer; it may hold no candidates at all
 */
export function readOffer(sdp: string): MediaOffer {
  if (sdp.length > SDP_BYTES_MAX) throw refused(`at most ${SDP_BYTES_MAX} bytes, got ${sdp.length}`);
  const lines = sdp.split(/\r?\n/u).filter((line) => line !== '');
  if (lines[0]?.trim() !== 'v=0') throw refused(`a description that begins with v=0, got ${shown(lines[0])}`);
  const kept = lines.filter((line) => !isUnresolvable(line));
  const sections = sectionsOf(kept);
  const [audio, second] = sections.filter(({ kind }) => kind === 'audio');
  const other = sections.find(({ kind }) => kind !== 'audio' && kind !== 'application');
  if (!audio || second || other) {
    const got = sections.map(({ kind }) => kind).join(', ') || 'none';
    throw refused(`one audio line and at most one for data channels, got ${got}`);
  }
  for (const name of ['fingerprint', 'ice-ufrag', 'ice-pwd']) {
    if (!kept.some((line) => line.startsWith(`a=${name}:`))) throw refused(`a line a=${name}, got none`);
  }
  const opusPayload = opusOf(audio);
  if (opusPayload === null) throw refused('Opus at 48000 Hz among the audio codecs');
  return {
    sdp: `${kept.join('\r\n')}\r\n`,
    audio: { mid: attribute(audio, 'mid') ?? '0', direction: directionOf(audio), opusPayload },
    channels: sections.some(({ kind }) => kind === 'application'),
  };
}

/** What the answer says to an offered direction. */
export function reciprocal(direction: MediaDirection): MediaDirection {
  if (direction === 'sendonly') return 'recvonly';
  return direction === 'recvonly' ? 'sendonly' : direction;
}

function refused(expected: string): ParleyError {
  return new ParleyError('invalid_argument', `the SDP offer cannot be answered: expected ${expected}`);
}

function shown(line: string | undefined): string {
  return line === undefined ? 'nothing' : JSON.stringify(line.slice(0, 40));
}

/**
 * A browser hides its addresses behind `.local` names. They can be resolved by multicast at best, and they are not
 * needed: its checks reach us first, and we answer to where they came from.
 */
function isUnresolvable(line: string): boolean {
  return line.startsWith('a=candidate:') && / [^ ]+\.local \d+ typ /u.test(line);
}

function sectionsOf(lines: string[]): Section[] {
  const sections: Section[] = [];
  for (const line of lines) {
    const kind = /^m=(\S+)/u.exec(line)?.[1];
    if (kind !== undefined) sections.push({ kind, lines: [] });
    else sections.at(-1)?.lines.push(line);
  }
  return sections;
}

function attribute({ lines }: Section, name: string): string | null {
  const prefix = `a=${name}:`;
  return (
    lines
      .find((line) => line.startsWith(prefix))
      ?.slice(prefix.length)
      .trim() ?? null
  );
}

function opusOf({ lines }: Section): number | null {
  for (const line of lines) {
    const payload = /^a=rtpmap:(\d+) opus\/48000\b/iu.exec(line)?.[1];
    if (payload !== undefined) return Number(payload);
  }
  return null;
}

function directionOf({ lines }: Section): MediaDirection {
  for (const line of lines) {
    const direction = /^a=(sendrecv|sendonly|recvonly|inactive)\s*$/u.exec(line)?.[1];
    if (direction !== undefined) return direction as MediaDirection;
  }
  return 'sendrecv';
}
