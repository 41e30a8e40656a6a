import { fileURLToPath } from 'node:url';
import { WORKLET_SOURCE } from '@parley/client';
import { defineConfig } from 'vite';

export default defineConfig({
  root: fileURLToPath(new URL('./page', import.meta.url)),
  base: '/',
  build: { outDir: '../dist/pages', emptyOutDir: true, target: 'es2023', modulePreload: { polyfill: false } },
  plugins: [
    {
      // The worklet as a file of its own: the pages' Content-Security-Policy need not allow scripts from blobs.
      name: 'parley-worklet',
      generateBundle() {
        this.emitFile({ type: 'asset', fileName: 'parley-worklet.js', source: WORKLET_SOURCE });
      },
    },
  ],
});
