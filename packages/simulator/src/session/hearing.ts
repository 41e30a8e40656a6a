import { decodeSpeech } from '../speech/coded-speech.ts';
import { wordsOf } from './delta.ts';
import type { Entry, Hearing, ItemAudio } from './conversation.ts';
import type { Connection } from './connection.ts';
import type { Fault } from '../faults.ts';
import type { Clock } from '../clock.ts';
import { transcriptionUsage } from './usage.ts';

// What the simulator makes of a user's turn. Free speech is not recognised: that takes model weights. What it hears is
// the code in the sound; sound without one is `voice`, with an empty transcript.

/** Shorter than the shortest coded message. */
const CODE_MS_MIN = 600;

/** Listens to a sound; never rejects. `failed` gives the reason where listening itself failed. */
export async function hear({ pcm, rate }: ItemAudio, failed: (error: unknown) => void): Promise<Hearing> {
  if (pcm.length === 0) return { kind: 'silence', text: '' };
  if ((pcm.length * 1000) / rate < CODE_MS_MIN) return { kind: 'voice', text: '' };
  try {
    const text = await decodeSpeech(pcm, rate);
    return text === '' ? { kind: 'voice', text } : { kind: 'coded', text };
  } catch (error) {
    failed(error);
    return { kind: 'voice', text: '' };
  }
}

/** The typed text of a user message, or what its sound turned out to be. */
export async function hearingOf(entry: Entry): Promise<Hearing> {
  const typed = (entry.item.content ?? []).flatMap((part) => (part.type === 'input_text' ? [part.text ?? ''] : []));
  const heard = entry.hearing ? await entry.hearing : null;
  if (typed.length === 0) return heard ?? { kind: 'silence', text: '' };
  const text = [heard?.text ?? '', ...typed].filter((part) => part !== '').join(' ');
  return { kind: heard?.kind === 'coded' ? 'coded' : 'typed', text };
}

export interface TranscriptionFailure {
  code: string;
  message: string;
}

/** Sends the transcription of an item: deltas and `completed`, or `failed`. */
export function sendTranscription(
  connection: Connection,
  entry: Entry,
  text: string,
  failure: TranscriptionFailure | null,
): void {
  const at = { item_id: entry.item.id, content_index: 0 };
  const event = (name: string) => `conversation.item.input_audio_transcription.${name}`;
  if (failure) {
    connection.send({ type: event('failed'), ...at, error: { type: 'transcription_error', ...failure, param: null } });
    return;
  }
  for (const delta of wordsOf(text)) connection.send({ type: event('delta'), ...at, delta });
  connection.send({
    type: event('completed'),
    ...at,
    transcript: text,
    usage: transcriptionUsage(entry.audioMs, text),
  });
}

/** Applies a fault of the plan to a transcription: waits, or says that it fails. */
export async function transcriptionFault(fault: Fault | null, clock: Clock): Promise<TranscriptionFailure | null> {
  if (fault?.kind === 'delay') await new Promise<void>((resolve) => void clock.after(fault.ms, resolve));
  if (fault?.kind !== 'fail') return null;
  return {
    code: fault.code ?? 'audio_unintelligible',
    message: fault.message ?? 'The audio could not be transcribed.',
  };
}
