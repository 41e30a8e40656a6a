// The OpenAPI document of the routes.

import type { Route } from './routes.ts';

const jsonOf = (schema: object) => ({ content: { 'application/json': { schema } } });

export function openapiOf(routes: readonly Route[], prefix: string): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const { method, path, summary, body, query, answers } of routes) {
    const names = [...path.matchAll(/:(\w+)/g)].map(([, name]) => name as string);
    const inPath = names.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } }));
    const properties = (query as { properties?: Record<string, object> } | undefined)?.properties ?? {};
    const inQuery = Object.entries(properties).map(([name, schema]) => ({ name, in: 'query', schema }));
    const shown = `${prefix}${path.replace(/:(\w+)/g, '{$1}')}`;
    paths[shown] ??= {};
    paths[shown][method.toLowerCase()] = {
      summary,
      parameters: [...inPath, ...inQuery],
      ...(body && { requestBody: jsonOf(JSON.parse(JSON.stringify(body)) as object) }),
      responses: Object.fromEntries(
        Object.entries(answers).map(([status, schema]) => [status, { description: summary, ...jsonOf(schema) }]),
      ),
    };
  }
  return { openapi: '3.1.0', info: { title: 'Parley agent runner', version: '1' }, paths };
}
