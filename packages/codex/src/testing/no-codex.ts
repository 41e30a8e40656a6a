// For tests that need the binary.

import { findCodex } from '../binary.ts';

/**
 * Why tests with the real Codex cannot run here, for their skip; null when they can.
 *
 * @example
 * test.skipIf(noCodex() !== null)('Codex mends the file', async () => {});
 */
export function noCodex(): string | null {
  try {
    findCodex();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}
