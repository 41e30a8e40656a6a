import { expect, test } from 'vitest';
import { importedPackages, violations } from './layers.ts';
import type { Package } from './workspace.ts';

const workspace = ['@parley/core', '@parley/transport', '@parley/client', '@parley/session', '@parley/server'];

function pkg(name: string, dependencies: Record<string, string>): Package {
  return { name, version: '0.0.0', folder: `packages/${name.split('/').at(-1)}`, dependencies };
}

test('every way to name a package is seen, and files and Node modules are not', () => {
  const text = `
    import { a } from './a.ts';
    import { readFile } from 'node:fs/promises';
    import type { b } from "@parley/core";
    import {
      c,
    } from 'zod/v4';
    export * from '@parley/transport/memory';
    import 'side-effect';
    const later = await import('ws');
  `;
  expect(importedPackages(text)).toEqual(['@parley/core', 'zod', '@parley/transport', 'side-effect', 'ws']);
});

test('session may not import server, declared or not', () => {
  const session = pkg('@parley/session', { '@parley/core': 'workspace:*', '@parley/server': 'workspace:*' });
  const sources = [{ path: 'src/agent.ts', text: `import { listen } from '@parley/server';` }];
  expect(violations(session, sources, workspace)).toEqual([
    '@parley/session may not depend on @parley/server',
    'packages/session/src/agent.ts imports @parley/server; @parley/session may import @parley/core, @parley/transport, @parley/providers, @parley/simulator',
  ]);
});

test('shipped code may not stand on a devDependency, a test may', () => {
  const transport = pkg('@parley/transport', { '@parley/core': 'workspace:*' });
  const text = `import { WebSocket } from 'ws';`;
  expect(
    violations(
      transport,
      [
        { path: 'src/socket.test.ts', text },
        { path: 'src/socket.test.peer.ts', text },
      ],
      workspace,
    ),
  ).toEqual([]);
  expect(violations(transport, [{ path: 'src/socket.ts', text }], workspace)).toEqual([
    'packages/transport/src/socket.ts imports ws, which is not among the dependencies that @parley/transport ships',
  ]);
});

test('a package that the table does not know is asked to say what it may import', () => {
  expect(violations(pkg('@parley/new', {}), [], workspace)).toHaveLength(1);
});
