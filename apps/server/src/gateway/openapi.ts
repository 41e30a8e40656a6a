// OpenAPI 3.1 from the rows of the routes and the schemas of the contract.

import { CONTRACT, type ContractName, contractSchema } from '@parley/core';
import type { Route } from './route.ts';

type Json = Record<string, unknown>;

export function openApi(routes: readonly Route[], version: string): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const path = route.path.replace(/:([a-z_]+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Parley',
      version,
      description: 'The control plane for realtime AI sessions.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    security: [{ key: [] }, {}],
    paths,
    components: {
      securitySchemes: {
        key: { type: 'http', scheme: 'bearer', description: 'A key, or the client token of one session.' },
      },
      schemas: components(),
    },
  };
}

function operation(route: Route): Json {
  const parameters = [
    ...[...route.path.matchAll(/:([a-z_]+)/g)].map((match) => ({
      name: match[1],
      in: 'path',
      required: true,
      schema: { type: 'string' },
    })),
    ...described('query', route.query),
    ...described('header', route.headers),
  ];
  const ok = String(route.status ?? 200);
  return {
    operationId: `${route.method.toLowerCase()}${route.path.replace(/[^A-Za-z]+([A-Za-z])/g, (_, letter: string) => letter.toUpperCase())}`,
    summary: route.summary,
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(route.request ? { requestBody: { content: contentOf(route, route.request, route.bodies) } } : {}),
    ...(route.foreign?.request ? { requestBody: { content: foreign(route.foreign.request) } } : {}),
    responses: {
      [ok]: route.foreign?.response
        ? { description: 'Done.', content: foreign(route.foreign.response) }
        : route.response
          ? { description: 'Done.', content: contentOf(route, route.response, route.answers) }
          : { description: 'Done.' },
      default: {
        description: 'An error.',
        content: { 'application/json': { schema: route.foreign?.error ?? reference('ErrorBody') } },
      },
    },
    ...(route.scope === 'public' ? { security: [] } : {}),
  };
}

function contentOf({ text }: Route, name: ContractName, types: readonly string[] = []): Json {
  const json = { 'application/json': { schema: reference(name) } };
  const bytes = Object.fromEntries(types.map((type) => [type, {}]));
  const texts = [text?.type ?? []].flat().map((type) => [type, { schema: { type: 'string' } }] as const);
  return { ...Object.fromEntries(texts), ...json, ...bytes };
}

function foreign(schemas: Record<string, object>): Json {
  return Object.fromEntries(Object.entries(schemas).map(([type, schema]) => [type, { schema }]));
}

function described(place: 'query' | 'header', names: Record<string, string> = {}): Json[] {
  return Object.entries(names).map(([name, description]) => ({
    name,
    in: place,
    description,
    schema: { type: 'string' },
  }));
}

function reference(name: ContractName): Json {
  return { $ref: `#/components/schemas/${name}` };
}

function components(): Json {
  const schemas: Json = {};
  for (const name of Object.keys(CONTRACT) as ContractName[]) {
    const { $defs, $schema: _, $id: __, id: ___, ...schema } = contractSchema(name) as Json & { $defs?: Json };
    for (const [id, definition] of Object.entries($defs ?? {})) schemas[id] ??= definition;
    schemas[name] = schema;
  }
  return JSON.parse(JSON.stringify(schemas).replaceAll('#/$defs/', '#/components/schemas/')) as Json;
}
