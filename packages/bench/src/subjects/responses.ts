// The model provider of the turns bench: it answers at once, so that what is measured is everything else.

import { startScriptedProvider } from '@parley/codex/testing';
import { ready } from './subject.ts';

const provider = await startScriptedProvider({ stepsOf: () => [{ text: 'done' }], keepRequests: false });
ready(Number(new URL(provider.url).port));
