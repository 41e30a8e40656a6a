import { defineConfig } from 'vitest/config';

// Coding and decoding sound is work (60 to 130 ms a message), and the machines that run this share their cores.
export default defineConfig({
  test: { testTimeout: 30_000, exclude: ['dist/**', 'node_modules/**', '**/*.live.test.ts'] },
});
