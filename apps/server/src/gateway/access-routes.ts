// /api/v1/access/keys

import type { CreateKeyRequest, KeyResource } from '@parley/core';
import type { Keys } from '../access/keys.ts';
import type { Route } from './route.ts';

export function accessRoutes(keys: Keys, now: () => number): Route[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/access/keys',
      summary: 'Keys, without the keys themselves.',
      scope: 'admin',
      response: 'KeyList',
      handle: async () => ({ keys: keys.list() as KeyResource[] }),
    },
    {
      method: 'POST',
      path: '/api/v1/access/keys',
      summary: 'Make a key. It is shown in this answer and never again.',
      scope: 'admin',
      request: 'CreateKeyRequest',
      response: 'CreateKeyResponse',
      status: 201,
      async handle({ body }) {
        const { name, scopes } = body as CreateKeyRequest;
        const { row, key } = await keys.create(name, scopes, now());
        const { hash: _, ...shown } = row;
        return { ...shown, key };
      },
    },
    {
      method: 'DELETE',
      path: '/api/v1/access/keys/:id',
      summary: 'Revoke a key.',
      scope: 'admin',
      handle: async ({ params }) => keys.revoke(params['id'] as string, now()),
    },
  ];
}
