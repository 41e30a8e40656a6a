// One file for pages without a bundler. The build prints its size; README.md says it, and `npm run check` compares.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { defineConfig } from 'vite';

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

export default defineConfig({
  logLevel: 'warn',
  build: {
    outDir: 'dist/bundle',
    emptyOutDir: true,
    target: 'es2023',
    // As a library vite would keep the white space.
    rolldownOptions: { output: { minify: true } },
    lib: { entry: path('./dist/browser.js'), formats: ['es'], fileName: () => 'browser.js' },
  },
  plugins: [
    {
      name: 'size-of-a-call',
      closeBundle() {
        const bundle = readFileSync(path('./dist/bundle/browser.js'));
        const kB = (bytes: number): string => (bytes / 1000).toFixed(1);
        console.log(
          `a call in a page: ${kB(gzipSync(bundle).length)} kB minified and gzipped, ${kB(bundle.length)} kB plain`,
        );
      },
    },
  ],
});
