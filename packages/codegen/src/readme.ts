// The marked blocks of schemas/README.md: tables that would be wrong sooner or later if somebody typed them.

import { ERROR_CODE_NAMES, ERROR_CODES, LIMITS, TIMES, closeCodeOf } from '@parley/core';

/** Replaces what stands between `<!-- generated: NAME -->` and `<!-- end -->` by the block of that name. */
export function fillBlocks(text: string): string {
  const blocks: Record<string, string> = { constants: constants(), 'error-codes': errorCodes() };
  const missing = new Set(Object.keys(blocks));
  const filled = text.replace(/(<!-- generated: (\S+) -->\n)[\s\S]*?(<!-- end -->)/g, (_, begin, name: string, end) => {
    const block = blocks[name];
    if (block === undefined) throw new Error(`schemas/README.md has a block '${name}' that nothing generates`);
    missing.delete(name);
    return `${begin}${block}${end}`;
  });
  if (missing.size > 0) throw new Error(`schemas/README.md has no block named ${[...missing].join(', ')}`);
  return filled;
}

function constants(): string {
  const rows = [...Object.entries(LIMITS), ...Object.entries(TIMES)];
  return table(
    ['constant', 'value'],
    rows.map(([name, value]) => [`\`${name}\``, String(value)]),
  );
}

function errorCodes(): string {
  const rows = ERROR_CODE_NAMES.map((code) => {
    const { number, http, retryable } = ERROR_CODES[code];
    const close = [closeCodeOf(code, true), closeCodeOf(code, false)].map(String);
    return [`\`${code}\``, String(number), String(http), retryable ? 'yes' : 'no', ...close];
  });
  return table(['code', 'n', 'HTTP', 'retryable by default', 'close when retryable', 'close when not'], rows);
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |\n`;
  return line(head) + line(head.map(() => '---')) + rows.map(line).join('');
}
