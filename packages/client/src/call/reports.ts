// What goes wrong with the audio, on its way to the call: some of it is found before there is a call.

import type { ParleyError } from '@parley/core';
import type { ReportProblem } from './audio.ts';
import type { Call } from './call.ts';

export class Reports {
  #call: Call | null = null;
  #early: ParleyError[] = [];

  readonly report: ReportProblem = (error) => {
    if (this.#call) this.#call.report(error);
    else this.#early.push(error);
  };

  /** They go to this call, from the next task on, when whoever started it listens. */
  tell(call: Call): void {
    setTimeout(() => {
      this.#call = call;
      for (const error of this.#early.splice(0)) call.report(error);
    }, 0);
  }
}
