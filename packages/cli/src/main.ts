#!/usr/bin/env node
// The command `parley`.

import { ParleyError } from '@parley/client';
import { CommanderError } from 'commander';
import { type GlobalOptions, urlOf } from './context.ts';
import { describeFailure, exitCodeOf } from './failure.ts';
import { endOnClosedPipe } from './output.ts';
import { createProgram } from './program.ts';

endOnClosedPipe();
const program = createProgram();
try {
  await program.parseAsync();
} catch (thrown) {
  if (thrown instanceof CommanderError) {
    // Help and version were asked for; anything else is a command line that was not understood.
    process.exitCode = thrown.exitCode === 0 ? 0 : 2;
  } else {
    const options = program.opts<GlobalOptions>();
    const text = options.json
      ? `${JSON.stringify(ParleyError.from(thrown, 'internal').toBody())}\n`
      : describeFailure(thrown, urlOf(options));
    process.stderr.write(text);
    // Whoever was stopped by a signal has said so already.
    process.exitCode ||= exitCodeOf(thrown);
  }
}
// Calls over WebRTC leave native threads that would keep the process; what was written goes out first.
process.stdout.write('', () => process.stderr.write('', () => process.exit()));
