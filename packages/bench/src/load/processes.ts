// Resident memory of processes that a bench started, by /proc: what the machine has to hold.

import { readdirSync, readFileSync } from 'node:fs';

/** Bytes of all processes whose command line has these words. */
export function residentBytes(words: string): number {
  let sum = 0;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (!readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(words)) continue;
      const [, kilobytes = '0'] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${name}/status`, 'utf8')) ?? [];
      sum += Number(kilobytes) * 1024;
    } catch {
      // It ended while the list was read.
    }
  }
  return sum;
}

/** The highest of what was seen every 20 ms until it is stopped. */
export function watchPeak(words: string): { stop(): number } {
  let peak = residentBytes(words);
  const timer = setInterval(() => (peak = Math.max(peak, residentBytes(words))), 20);
  return {
    stop: () => {
      clearInterval(timer);
      return peak;
    },
  };
}
