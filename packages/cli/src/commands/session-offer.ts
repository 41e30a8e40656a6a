// parley session offer SESSION

import type { Command } from 'commander';
import { contextOf } from '../context.ts';
import { readText } from '../input.ts';
import { write, writeJson } from '../output.ts';

/** An answer waits for the provider's, so it takes longer than other requests. */
const OFFER_TIMEOUT_MS = 20_000;

export function sessionOffer(session: Command): void {
  session
    .command('offer <session>')
    .description('answer a WebRTC offer: SDP in, SDP out')
    .requiredOption('--sdp <offer>', 'the offer: inline SDP, @file, or - for stdin')
    .addHelpText('after', '\nExample:\n  parley session offer $id --sdp @offer.sdp > answer.sdp\n')
    .action(async (id: string, options: { sdp: string }, command: Command) => {
      const { client, json } = contextOf(command);
      const sdp = await readText(options.sdp, '--sdp');
      const answer_sdp = await client.sessions.offer(id, lines(sdp), { timeoutMs: OFFER_TIMEOUT_MS });
      await (json ? writeJson({ answer_sdp }) : write(answer_sdp));
    });
}

/** Shells and editors leave bare line feeds; SDP ends each line with both, the last one too. */
function lines(sdp: string): string {
  return `${sdp.trimEnd().split(/\r?\n/).join('\r\n')}\r\n`;
}
