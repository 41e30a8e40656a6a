// Holds every answer against the description that the server gives of itself.

import { type ContractName, problemOf } from '@parley/core';

interface Operation {
  responses: Record<string, { content?: Record<string, { schema: { $ref: string } }> }>;
}

export interface Description {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, unknown> };
}

/** Routes that are called by another name are described once. */
const ALIASES: [RegExp, string][] = [
  [/^\/api\/v1\/session-targets\//, '/api/v1/sessions/'],
  [/^\/api\/v1\/session-instances\//, '/api/v1/sessions/'],
];

/** Throws unless `body` is what the description promises for this answer. Errors are checked on every path. */
export function checkAnswer(api: Description, method: string, url: string, status: number, body: unknown): void {
  const path = ALIASES.reduce((one, [from, to]) => one.replace(from, to), url.split('?')[0] as string);
  if (status >= 400 && path.startsWith('/v1/')) return fitsOpenAI(body, `${method} ${path} ${status}`);
  if (status >= 400) return fits('ErrorBody', body, `${method} ${path} ${status}`);
  const operation = operationOf(api, method, path);
  const described =
    operation?.responses[status] ??
    Object.entries(operation?.responses ?? {}).find(([code]) => code.startsWith('2'))?.[1];
  if (!described) throw new Error(`${method} ${path} is not described`);
  const schema = described.content?.['application/json']?.schema.$ref;
  if (schema !== undefined) fits(schema.split('/').at(-1) as ContractName, body, `${method} ${path} ${status}`);
}

function operationOf({ paths }: Description, method: string, path: string): Operation | undefined {
  // A path without parameters stands before one with them, as in the router.
  const templates = Object.keys(paths).sort((a, b) => a.split('{').length - b.split('{').length);
  const found = templates.find((one) => new RegExp(`^${one.replace(/\{[a-z_]+\}/g, '[^/]+')}$`).test(path));
  return found === undefined ? undefined : paths[found]?.[method.toLowerCase()];
}

/** An error of the OpenAI door has the shape of OpenAI's. */
function fitsOpenAI(body: unknown, where: string): void {
  const { error } = body as { error?: Record<string, unknown> };
  const complete = typeof error?.['message'] === 'string' && typeof error['type'] === 'string';
  if (!complete || !('code' in error) || !('param' in error)) {
    throw new Error(`${where}: the answer is no error of OpenAI: ${JSON.stringify(body)}`);
  }
}

function fits(name: ContractName, body: unknown, where: string): void {
  const problem = problemOf(name, body);
  if (problem) throw new Error(`${where}: the answer is no ${name}: ${problem.message} in ${JSON.stringify(body)}`);
}
