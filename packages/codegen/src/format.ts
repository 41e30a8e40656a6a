// One way to print JSON: two spaces, keys in the order given, short arrays of plain values on one line, a newline at
// the end. Nothing depends on a formatter's version, so output only changes when the contract does.

const WIDTH = 120;

/** `value` as JSON text for a file. */
export function formatJson(value: unknown): string {
  return `${print(value, '')}\n`;
}

function print(value: unknown, indent: string): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]';
    if (value.every((one) => typeof one !== 'object' || one === null)) {
      const line = `[${value.map((one) => JSON.stringify(one)).join(', ')}]`;
      if (indent.length + line.length <= WIDTH - 20) return line;
    }
    return `[\n${value.map((one) => inner + print(one, inner)).join(',\n')}\n${indent}]`;
  }
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  if (entries.length === 0) return '{}';
  return `{\n${entries.map(([key, one]) => `${inner}${JSON.stringify(key)}: ${print(one, inner)}`).join(',\n')}\n${indent}}`;
}
