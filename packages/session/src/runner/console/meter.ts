// How loud something is, as a bar.

const STEPS = ' ▁▂▃▄▅▆▇█';
const FLOOR_DB = -50;

/** The loudness of 16-bit samples, from 0 to 1, over 50 decibels. */
export function loudness(pcm: Int16Array): number {
  if (pcm.length === 0) return 0;
  let sum = 0;
  for (const sample of pcm) sum += sample * sample;
  const db = 20 * Math.log10(Math.sqrt(sum / pcm.length) / 0x8000 || 1e-9);
  return Math.min(1, Math.max(0, 1 - db / FLOOR_DB));
}

/** The last levels as a row of bars, the newest at the right. */
export class Meter {
  readonly #levels: number[];

  constructor(width: number) {
    this.#levels = Array.from({ length: width }, () => 0);
  }

  add(pcm: Int16Array): void {
    this.#levels.push(loudness(pcm));
    this.#levels.shift();
  }

  bars(): string {
    return this.#levels.map((level) => STEPS[Math.round(level * (STEPS.length - 1))]).join('');
  }
}
