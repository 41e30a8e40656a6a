// parley providers

import { CAPABILITIES } from '@parley/core';
import type { Command } from 'commander';
import { contextOf } from '../context.ts';
import { duration, table, write, writeJson } from '../output.ts';

export function providers(program: Command): void {
  program
    .command('providers')
    .description('model providers, how each is reached and what it can do; with --json one to a line')
    .action(async (_options: unknown, command: Command) => {
      if (contextOf(command).json) {
        for (const row of CAPABILITIES) await writeJson(row);
        return;
      }
      const rows = [['PROVIDER', 'TRANSPORTS', 'DEFAULT MODEL', 'SESSION', 'RESUME', 'BILLS', 'STATUS']];
      for (const row of CAPABILITIES) {
        rows.push([
          row.provider,
          Object.entries(row.transports)
            .map(([name, { via }]) => (via === 'bridge' ? `${name} (bridge)` : name))
            .join(', '),
          row.default_model,
          duration(row.session_max_ms),
          row.resume,
          row.usage_unit,
          row.retires_on === null ? row.status : `${row.status} until ${row.retires_on}`,
        ]);
      }
      await write(table(rows));
      const retiring = CAPABILITIES.flatMap(({ provider, retiring_models }) =>
        retiring_models.map(({ model, retires_on }) => [provider, model, `retires on ${retires_on}`]),
      );
      if (retiring.length > 0) await write(`\n${table(retiring)}`);
    });
}
