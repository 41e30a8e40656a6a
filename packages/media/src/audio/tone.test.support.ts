/** A sine of half the full scale. */
export function tone(hz: number, rate: number, ms: number): Int16Array {
  const samples = new Int16Array((rate * ms) / 1000);
  for (let i = 0; i < samples.length; i++) samples[i] = Math.round(16_384 * Math.sin((2 * Math.PI * hz * i) / rate));
  return samples;
}

/** How loud one frequency is, as a share of the sine of {@link tone}. */
export function levelOf(samples: Int16Array, hz: number, rate: number): number {
  let sine = 0;
  let cosine = 0;
  for (const [i, sample] of samples.entries()) {
    sine += sample * Math.sin((2 * Math.PI * hz * i) / rate);
    cosine += sample * Math.cos((2 * Math.PI * hz * i) / rate);
  }
  return (2 * Math.hypot(sine, cosine)) / samples.length / 16_384;
}

/** The loudest sample. */
export function peakOf(samples: Int16Array): number {
  return samples.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0);
}
