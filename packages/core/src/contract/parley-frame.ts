// The frames that only Parley sends on a client socket, beside those with GA names.

import { z } from 'zod';
import { ErrorObjectSchema, JsonObject } from './json.ts';

export const ParleyFrame = z
  .discriminatedUnion('type', [
    z
      .object({ type: z.literal('parley.event'), event: JsonObject })
      .meta({ id: 'ParleyEventFrame', description: 'An entry of the log.' }),
    z
      .object({ type: z.literal('parley.error'), error: ErrorObjectSchema })
      .meta({ id: 'ParleyErrorFrame', description: 'A frame was refused.' }),
  ])
  .meta({ id: 'ParleyFrame' });
export type ParleyFrame = z.infer<typeof ParleyFrame>;
