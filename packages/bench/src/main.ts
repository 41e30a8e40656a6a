// pnpm bench [GROUP…] [--json]
// Without --json a table on stdout; with it one JSON object, of the group when one was named, else by group.
// PARLEY_BENCH_RUNS sets how often each subject is measured; figures are medians of the runs.

import { executions, starts } from './groups/http.ts';
import { languages } from './groups/languages.ts';
import { launcher } from './groups/launcher.ts';
import { memory } from './groups/memory.ts';
import { registration } from './groups/registration.ts';
import { realtime } from './groups/realtime.ts';
import { relay } from './groups/relay.ts';
import { webrtc } from './groups/webrtc.ts';
import { turns } from './groups/turns.ts';
import type { Metrics } from './stats.ts';

const GROUPS: Record<string, (progress: (line: string) => void) => Promise<Metrics>> = {
  relay,
  starts,
  executions,
  launcher,
  memory,
  registration,
  languages,
  webrtc,
  turns,
  realtime,
};

const args = process.argv.slice(2).filter((arg) => arg !== '--');
const json = args.includes('--json');
const unknownFlag = args.find((arg) => arg.startsWith('-') && arg !== '--json');
const names = args.filter((arg) => !arg.startsWith('-'));
const unknown = unknownFlag ?? names.find((name) => !Object.hasOwn(GROUPS, name));
if (unknown !== undefined) {
  process.stderr.write(
    `bench: unknown ${unknownFlag ? 'flag' : 'group'} '${unknown}'. Groups: ${Object.keys(GROUPS).join(', ')}. Flags: --json\n`,
  );
  process.exit(2);
}

const results: Record<string, Metrics> = {};
for (const name of names.length > 0 ? names : Object.keys(GROUPS)) {
  results[name] = await (GROUPS[name] as (typeof GROUPS)[string])((line) => process.stderr.write(`${line}\n`));
  if (!json) table(name, results[name]);
}
if (json) process.stdout.write(`${JSON.stringify(names.length === 1 ? results[names[0] as string] : results)}\n`);
process.exit(0);

function table(group: string, metrics: Metrics): void {
  const cell = (value: number | null): string =>
    value === null ? '–' : value.toLocaleString('en-US', { maximumFractionDigits: 3 });
  const rows = [
    ['metric', 'ours', 'peer', 'floor', 'unit'],
    ...Object.entries(metrics).map(([name, { ours, peer, floor, unit }]) => [
      name,
      cell(ours),
      cell(peer),
      cell(floor),
      unit,
    ]),
  ];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...rows.map((row) => (row[column] as string).length)));
  process.stdout.write(`\n${group}\n`);
  for (const row of rows) {
    process.stdout.write(
      `${row.map((value, column) => (column === 0 || column === 4 ? value.padEnd(widths[column] as number) : value.padStart(widths[column] as number))).join('  ')}\n`,
    );
  }
}
