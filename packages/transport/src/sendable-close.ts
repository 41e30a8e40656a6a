// Close codes that may stand in a closing frame (RFC 6455, 7.4), and reasons that fit into one.

import type { FrameClose } from './frame-socket.ts';

const REASON_BYTES_MAX = 123;

/**
 * What can be sent of a close that may have been observed elsewhere: null means a closing frame without a code, and a
 * code that only says how a connection was found (1006) becomes 1011.
 */
export function sendableClose(code: number | undefined, reason = ''): FrameClose | null {
  if (code === undefined || code === 1005) return null;
  const sendable = (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) || (code >= 3000 && code <= 4999);
  return { code: sendable ? code : 1011, reason: shortened(reason) };
}

function shortened(reason: string): string {
  let bytes = Buffer.from(reason);
  if (bytes.length <= REASON_BYTES_MAX) return reason;
  let end = REASON_BYTES_MAX;
  // Not in the middle of a character.
  while (end > 0 && ((bytes[end] as number) & 0xc0) === 0x80) end -= 1;
  bytes = bytes.subarray(0, end);
  return bytes.toString();
}
