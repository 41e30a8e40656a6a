// schemas/v1/*.schema.json: one file for each name of CONTRACT, complete in itself.

import { CONTRACT, type ContractName, compileCheck, contractSchema, type JsonSchema } from '@parley/core';

const BASE = 'https://parley.dev/schemas/v1';

/** `SessionDeclaration` is `session-declaration`. */
export function fileName(name: string): string {
  return name.replace(/(?<=[a-z])[A-Z]/g, (letter) => `-${letter}`).toLowerCase();
}

/** The schema files by file name. Throws on anything outside of the contract's subset, naming the schema. */
export function schemaFiles(): Map<string, JsonSchema> {
  const files = new Map<string, JsonSchema>();
  for (const name of Object.keys(CONTRACT) as ContractName[]) {
    const file = `${fileName(name)}.schema.json`;
    files.set(file, schemaFile(name, contractSchema(name), `${BASE}/${file}`));
  }
  return files;
}

/**
 * One schema as its file has it. Fields keep the order in which they were declared, because checks go in that order;
 * `$defs` stand in the order of their names.
 */
export function schemaFile(name: string, emitted: JsonSchema, id: string): JsonSchema {
  try {
    compileCheck(emitted);
    for (const schema of Object.values(defsOf(emitted))) compileCheck({ ...schema, $defs: defsOf(emitted) });
  } catch (error) {
    throw new Error(`${name}: ${(error as Error).message}`, { cause: error });
  }
  const { $schema, $defs: _, ...rest } = emitted;
  const root = typeof rest['$ref'] === 'string' ? defsOf(emitted)[name] : rest;
  // An emitter that did not understand its input answers `{}`, which accepts everything.
  if (!root || (Object.keys((root['properties'] as object | undefined) ?? {}).length === 0 && !root['oneOf'])) {
    throw new Error(`${name}: the schema came out with neither properties nor oneOf`);
  }
  const defs = Object.entries(defsOf(emitted)).sort(([a], [b]) => (a < b ? -1 : 1));
  return { $schema, $id: id, title: name, ...rest, $defs: Object.fromEntries(defs) };
}

function defsOf(schema: JsonSchema): Record<string, JsonSchema> {
  return (schema['$defs'] as Record<string, JsonSchema> | undefined) ?? {};
}
