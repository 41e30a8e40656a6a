import { expect, test } from 'vitest';
import { sizeFaults } from './bundle-size.ts';

test('a page that says another size than the bundle has is told the right one', () => {
  const bundle = new TextEncoder().encode('export const a = 1;');
  expect(sizeFaults(bundle, 'The call is 0.0 kB minified and gzipped.')).toEqual([]);
  const wrong = 'packages/client/README.md says 3 kB minified and gzipped; the bundle has 0.0 kB';
  expect(sizeFaults(bundle, 'The call is 3 kB minified and gzipped.')).toEqual([wrong]);
  expect(sizeFaults(bundle, 'It is small.')[0]).toContain('says no kB');
});
