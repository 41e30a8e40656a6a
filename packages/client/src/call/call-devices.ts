// The microphones and loudspeakers that a call can choose from, and what it tells of them.

import { ParleyError } from '@parley/core';
import type { AudioDevices, DeviceChoice } from './devices.ts';

export interface CallDevicesParts {
  choice: DeviceChoice | undefined;
  /** One was plugged in or out, or chosen. */
  told: (devices: AudioDevices) => void;
  report: (error: ParleyError) => void;
}

export class CallDevices {
  readonly #parts: CallDevicesParts;
  readonly #off: (() => void) | undefined;

  constructor(parts: CallDevicesParts) {
    this.#parts = parts;
    this.#off = parts.choice?.onChange(() => void this.#tell());
  }

  list(): Promise<AudioDevices> {
    return this.#choice().list();
  }

  async setMicrophone(deviceId: string): Promise<void> {
    await this.#choice().setMicrophone(deviceId);
    await this.#tell();
  }

  async setSpeaker(deviceId: string): Promise<void> {
    await this.#choice().setSpeaker(deviceId);
    await this.#tell();
  }

  /** Changes are not told any more. */
  stop(): void {
    this.#off?.();
  }

  #choice(): DeviceChoice {
    const { choice } = this.#parts;
    if (choice) return choice;
    throw new ParleyError('failed_precondition', 'this call has no microphone and no loudspeaker to choose');
  }

  async #tell(): Promise<void> {
    try {
      this.#parts.told(await this.list());
    } catch (thrown) {
      this.#parts.report(ParleyError.from(thrown, 'internal'));
    }
  }
}
