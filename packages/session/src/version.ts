import { createRequire } from 'node:module';

const { version } = createRequire(import.meta.url)('../package.json') as { version: string };

/** How this SDK names itself when it registers. */
export const SDK = { language: 'typescript', version } as const;
