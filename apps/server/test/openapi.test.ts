// The description of the interface. That answers are as described is checked on every answer of every test (api.ts).

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Description } from './support/answers.ts';
import { House } from './support/house.ts';

let house: House;
let api: Description;
beforeAll(async () => {
  house = await House.open();
  api = await house.api.description();
});
afterAll(() => house[Symbol.asyncDispose]());

const ROUTES = `
POST /api/v1/sessions/{id}/start
GET /api/v1/sessions
GET /api/v1/sessions/{id}
GET /api/v1/sessions/{id}/events
GET /api/v1/sessions/{id}/workflow
POST /api/v1/sessions/{id}/tools/{tool}
POST /api/v1/sessions/{id}/turns
POST /api/v1/sessions/{id}/say
POST /api/v1/sessions/{id}/inject
POST /api/v1/sessions/{id}/update
POST /api/v1/sessions/{id}/realtime-offer
GET /api/v1/sessions/{id}/realtime-call
DELETE /api/v1/sessions/{id}/realtime-call
POST /api/v1/sessions/{id}/close
POST /v1/realtime/client_secrets
POST /v1/realtime/calls
POST /v1/realtime/calls/{id}/hangup
POST /api/v1/execute/{target}
POST /api/v1/execute/async/{target}
GET /api/v1/executions
POST /api/v1/executions/batch-status
GET /api/v1/executions/{id}
GET /api/v1/executions/{id}/events
POST /api/v1/executions/{id}/cancel
POST /api/v1/executions/{id}/notes
GET /api/v1/workflows/{id}/dag
GET /api/v1/agents
GET /api/v1/agents/{id}
GET /api/v1/access/keys
POST /api/v1/access/keys
DELETE /api/v1/access/keys/{id}
GET /health
GET /live
GET /ready
GET /metrics
GET /api/v1/status
GET /api/v1/openapi.json
`
  .trim()
  .split('\n');

test('every route is described, by its method and its path', () => {
  const described = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(described.sort()).toEqual([...ROUTES].sort());
});

test('every reference leads somewhere, and every operation has a name of its own', () => {
  const references = [...JSON.stringify(api).matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1] as string);
  expect(references.length).toBeGreaterThan(50);
  for (const reference of new Set(references)) {
    expect(reference).toMatch(/^#\/components\/schemas\/[A-Za-z]+$/);
    expect(api.components.schemas).toHaveProperty([reference.split('/').at(-1) as string]);
  }
  const names = Object.values(api.paths).flatMap((methods) =>
    Object.values(methods).map((operation) => (operation as unknown as { operationId: string }).operationId),
  );
  expect(new Set(names).size).toBe(ROUTES.length);
});

test('it has the structure of OpenAPI 3.1', () => {
  expect(api.openapi).toMatch(/^3\.1\.\d+$/);
  expect(api).toMatchObject({ info: { title: expect.any(String), version: expect.any(String) } });
  for (const [path, methods] of Object.entries(api.paths)) {
    expect(path.startsWith('/')).toBe(true);
    const inPath = [...path.matchAll(/\{([a-z_]+)\}/g)].map((match) => match[1]);
    for (const operation of Object.values(methods) as unknown as Record<string, unknown>[]) {
      const {
        parameters = [],
        responses,
        summary,
      } = operation as {
        parameters?: { name: string; in: string; required?: boolean; schema: object }[];
        responses: Record<string, { description: string }>;
        summary: string;
      };
      expect(summary).not.toBe('');
      const own = parameters.filter((one) => one.in === 'path');
      expect(own.map((one) => [one.name, one.required])).toEqual(inPath.map((name) => [name, true]));
      for (const [status, { description }] of Object.entries(responses)) {
        expect(status).toMatch(/^(?:[1-5]\d\d|default)$/);
        expect(description).not.toBe('');
      }
      expect(Object.keys(responses)).toContain('default');
    }
  }
  // Every schema says what it is: one that is empty would let everything pass.
  for (const schema of Object.values(api.components.schemas) as Record<string, unknown>[]) {
    const says = ['type', 'anyOf', 'oneOf', '$ref', 'const', 'enum'].some((key) => key in schema);
    expect(says || schema['description'] === 'Any JSON value.').toBe(true);
  }
});

test('headers that a route heeds are described', () => {
  const headers = (path: string) => {
    const post = api.paths[path]?.['post'] as { parameters?: { name: string; in: string }[] } | undefined;
    return (post?.parameters ?? []).filter((one) => one.in === 'header').map((one) => one.name);
  };
  for (const route of ['start', 'turns', 'tools/{tool}', 'say', 'inject', 'update', 'close']) {
    expect(headers(`/api/v1/sessions/{id}/${route}`)).toEqual(['Idempotency-Key']);
  }
  expect(headers('/api/v1/execute/{target}')).toEqual([
    'Idempotency-Key',
    'X-Session-ID',
    'X-Parent-Execution-ID',
    'X-Workflow-ID',
    'X-Execution-ID',
  ]);
});
