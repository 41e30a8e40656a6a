// node agent.ts run --text        one call at this terminal
// node agent.ts serve --port 8000 many calls, over HTTP

import { Runner } from '@parley/session';
import { launcher } from './desk.ts';

await new Runner({ launcher }).cli();
