import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Container, execForm, instructionsOf } from './container.ts';
import { temporary } from './workspace.ts';

function container(dockerfile: string): { folder: string; made: Container; root: string } {
  const folder = temporary('context');
  const root = temporary('image');
  writeFileSync(join(folder, 'Dockerfile'), dockerfile);
  writeFileSync(join(folder, '.dockerignore'), '.env\nnode_modules\n');
  writeFileSync(join(folder, '.env'), 'SECRET=1');
  writeFileSync(join(folder, 'agent.txt'), 'agent');
  mkdirSync(join(folder, 'node_modules'));
  return { folder, root, made: new Container(folder, root, { PATH: process.env['PATH'] ?? '' }) };
}

test('lines go on after a backslash, and comments are none', () => {
  expect(instructionsOf('# a\nFROM x\nRUN one \\\n  two\n')).toEqual([
    { name: 'FROM', text: 'x' },
    { name: 'RUN', text: 'one    two' },
  ]);
});

test('it is built from what is not ignored, step by step, and its command runs', async () => {
  const { made, root } = container(
    'FROM x\nWORKDIR /app\nENV NAME=desk\nCOPY . .\nRUN printf "$NAME" > made\nUSER node\nEXPOSE 8000\nCMD ["cat", "made", "agent.txt"]\n',
  );
  await made.build();
  expect(existsSync(join(root, 'app', '.env'))).toBe(false);
  expect(existsSync(join(root, 'app', 'node_modules'))).toBe(false);
  expect(readFileSync(join(root, 'app', 'made'), 'utf8')).toBe('desk');
  expect(made.image).toMatchObject({ user: 'node', ports: [8000], workdir: '/app' });
  const child = made.start({});
  let out = '';
  child.stdout?.on('data', (chunk: Buffer) => (out += chunk.toString()));
  await once(child, 'close');
  expect(out).toBe('deskagent');
});

test.for([
  ['FROM x\nCMD node agent.ts\n', 'CMD must be in exec form'],
  ['FROM x\nVOLUME /data\nCMD ["x"]\n', 'VOLUME is not known'],
  ['FROM x\nRUN exit 3\nCMD ["x"]\n', 'ended with 3'],
  ['FROM x\nCOPY nothing .\nCMD ["x"]\n', 'there is no nothing'],
  ['FROM x\n', 'there is no CMD'],
] as const)('%j cannot be built', async ([text, words]) => {
  await expect(container(text).made.build()).rejects.toThrow(words);
});

test('an exec form is a list of strings', () => {
  expect(execForm('CMD', '["node", "agent.ts"]')).toEqual(['node', 'agent.ts']);
  expect(() => execForm('CMD', '[1]')).toThrow('exec form');
});
