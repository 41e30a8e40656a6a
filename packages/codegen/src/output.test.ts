import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CONTRACT } from '@parley/core';
import { expect, onTestFinished, test } from 'vitest';
import { formatJson } from './format.ts';
import { outputs, staleFiles, writeFiles } from './output.ts';
import { fileName, schemaFile, schemaFiles } from './schemas.ts';

function folder(): string {
  const root = mkdtempSync(join(tmpdir(), 'parley-schemas-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const block = (name: string) => `<!-- generated: ${name} -->\n<!-- end -->\n`;
  writeFileSync(join(root, 'README.md'), `# x\n${block('constants')}${block('error-codes')}`);
  return root;
}

test.each([...schemaFiles()])('%s says something about its values', (_, schema) => {
  const defs = schema['$defs'] as Record<string, Record<string, unknown>>;
  const root = typeof schema['$ref'] === 'string' ? defs[schema['$ref'].slice('#/$defs/'.length)] : schema;
  expect(Object.keys((root?.['properties'] ?? root?.['oneOf'] ?? {}) as object)).not.toEqual([]);
});

test('every name of the contract has its file, and an $id that is its address', () => {
  const files = schemaFiles();
  expect(files.size).toBe(Object.keys(CONTRACT).length);
  const file = `${fileName('SessionDeclaration')}.schema.json`;
  expect(file).toBe('session-declaration.schema.json');
  expect(files.get(file)?.['$id']).toBe(`https://parley.dev/schemas/v1/${file}`);
});

test('a keyword outside of the subset is refused by name', () => {
  const schema = { type: 'object', properties: { at: { type: 'string', format: 'date-time' } } };
  expect(() => schemaFile('Meeting', schema, 'x')).toThrow(
    "Meeting: the contract may not use the JSON Schema keyword 'format'",
  );
});

test('an empty schema is refused', () => {
  expect(() => schemaFile('Nothing', { $schema: 'x' }, 'x')).toThrow('neither properties nor oneOf');
});

test('what was written is up to date, what was touched, lost or left over is named', () => {
  const root = folder();
  expect(staleFiles(root, outputs(root))).toContain('v1/catalog.json is missing');
  writeFiles(root, outputs(root));
  expect(staleFiles(root, outputs(root))).toEqual([]);
  writeFileSync(join(root, 'v1/catalog.json'), '{}\n');
  writeFileSync(join(root, 'v1/old.schema.json'), '{}\n');
  rmSync(join(root, 'v1/capabilities.json'));
  expect(staleFiles(root, outputs(root))).toEqual([
    'v1/catalog.json differs',
    'v1/capabilities.json is missing',
    'v1/old.schema.json is not generated any more',
  ]);
  writeFiles(root, outputs(root));
  expect(staleFiles(root, outputs(root))).toEqual([]);
});

test('JSON is printed stably and reads back the same', () => {
  const value = { b: [1, 'two', null], a: { c: [], d: {}, e: [{ f: true }] } };
  expect(formatJson(value)).toBe(
    '{\n  "b": [1, "two", null],\n  "a": {\n    "c": [],\n    "d": {},\n    "e": [\n      {\n        "f": true\n      }\n    ]\n  }\n}\n',
  );
  expect(JSON.parse(formatJson(value))).toEqual(value);
});
