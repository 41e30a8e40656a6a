// A call at a terminal: a line for each thing that happened, and below them, where the terminal can, a line that moves.

import type { EventRecord } from '@parley/core';
import type { ConsoleScreen } from './console-call.ts';
import { Meter } from './meter.ts';

export interface ScreenOptions {
  readonly write: (text: string) => void;
  /** Whether lines can be written over. */
  moving: boolean;
  colour: boolean;
  readonly columns: () => number;
  /** Shows every entry of the log. */
  debug: boolean;
  /** Levels are drawn where there is sound. */
  sound: boolean;
}

const METER_WIDTH = 12;
const SLOW_MS = 1_000;
const REDRAW_MS = 80;
const SILENT_MS = 60;
const SILENCE = new Int16Array(0);

export class Screen implements ConsoleScreen {
  readonly #options: ScreenOptions;
  readonly #meters = { you: new Meter(METER_WIDTH), agent: new Meter(METER_WIDTH) };
  #partial = '';
  #drawn = false;
  #drawnAt = 0;
  /** When the agent was heard last. */
  #heardAt = 0;

  constructor(options: ScreenOptions) {
    this.#options = options;
  }

  /** A line that stays. */
  line(text: string): void {
    this.#clear();
    this.#options.write(`${plain(text)}\n`);
    this.#draw();
  }

  words(who: 'you' | 'agent', text: string, final: boolean): void {
    if (!final) {
      this.#partial = `${who}: ${text} …`;
      return this.#draw();
    }
    this.#partial = '';
    this.line(`${who === 'you' ? this.#paint(36, 'you') : this.#paint(32, 'agent')}: ${text}`);
  }

  answered({ firstMs, beganMs }: { firstMs: number; beganMs: number | null }): void {
    const parts = [`answer after ${Math.round(firstMs)} ms`];
    if (beganMs !== null) parts.push(`model began after ${Math.round(beganMs)} ms`);
    this.line(this.#paint(firstMs >= SLOW_MS ? 31 : 90, `  · ${parts.join(', ')}`));
  }

  interrupted(playedMs: number): void {
    this.line(this.#paint(33, `  · interrupted after ${Math.round(playedMs)} ms`));
  }

  entry(entry: EventRecord): void {
    if (this.#options.debug) this.line(this.#paint(90, `  ${entry.seq} ${entry.type}`));
    switch (entry.type) {
      case 'tool.dispatched':
        return this.line(`  ➜ ${entry.name} ${brief(entry.input)}`);
      case 'tool.rejected':
        return this.line(this.#paint(31, `  ✗ ${entry.name}: ${entry.error.message}`));
      case 'tool.completed': {
        const took = `(${Math.round(entry.duration_ms)} ms)`;
        if (entry.status === 'succeeded') return this.line(`  ✓ ${entry.name} ${brief(entry.output)} ${took}`);
        return this.line(this.#paint(31, `  ✗ ${entry.name} ${entry.status}: ${entry.error?.message ?? ''} ${took}`));
      }
      case 'turn.completed':
        // What was typed is on the screen already.
        return;
      case 'provider.failed':
        return this.problem(entry.error.message);
      default:
        return;
    }
  }

  sound(who: 'you' | 'agent', pcm: Int16Array): void {
    if (!this.#options.sound) return;
    this.#meters[who].add(pcm);
    const now = performance.now();
    if (who === 'agent') this.#heardAt = now;
    // A microphone gives sound all the time, an agent only while it speaks: its meter falls with the other one's beat.
    else if (now - this.#heardAt > SILENT_MS) this.#meters.agent.add(SILENCE);
    this.#draw();
  }

  problem(message: string): void {
    this.line(this.#paint(31, `  ! ${message}`));
  }

  close(): void {
    this.#clear();
  }

  #draw(): void {
    const { moving, sound, write, columns } = this.#options;
    const now = performance.now();
    if (!moving || (now - this.#drawnAt < REDRAW_MS && this.#drawn)) return;
    const meters = sound ? `🎤 ${this.#meters.you.bars()} 🔊 ${this.#meters.agent.bars()} ` : '';
    if (meters === '' && this.#partial === '') return;
    const room = Math.max(10, columns() - 4);
    write(`\r\x1b[2K${[...plain(meters + this.#partial)].slice(0, room).join('')}`);
    this.#drawn = true;
    this.#drawnAt = now;
  }

  #clear(): void {
    if (this.#drawn) this.#options.write('\r\x1b[2K');
    this.#drawn = false;
  }

  #paint(colour: number, text: string): string {
    return this.#options.colour ? `\x1b[${colour}m${text}\x1b[0m` : text;
  }
}

const BRIEF_MAX = 120;

function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? '';
  return text.length > BRIEF_MAX ? `${text.slice(0, BRIEF_MAX)}…` : text;
}

/** Without what could steer a terminal: words come from models and callers. Our own colours stay. */
function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is taken out
  return text.replace(/\x1b(?!\[\d{1,2}m)|[\x00-\x09\x0b-\x1a\x1c-\x1f\x7f-\x9f]/g, ' ');
}
