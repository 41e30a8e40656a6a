// Microphones and loudspeakers to choose from.

import { callError } from './problems.ts';

export interface AudioDevice {
  id: string;
  /** What the system calls it; empty before the microphone was allowed. */
  label: string;
  /** Whether this call uses it. */
  chosen: boolean;
}

export interface AudioDevices {
  microphones: AudioDevice[];
  /** Empty where the browser does not let pages choose. */
  speakers: AudioDevice[];
}

/** The choice of devices that a call has, where it has one. */
export interface DeviceChoice {
  list(): Promise<AudioDevices>;
  setMicrophone(deviceId: string): Promise<void>;
  setSpeaker(deviceId: string): Promise<void>;
  /** Something was plugged in or out. Returns what takes the listener away. */
  onChange(listener: () => void): () => void;
}

export async function listDevices(microphoneId: string | undefined, speakerId: string): Promise<AudioDevices> {
  const all = await navigator.mediaDevices.enumerateDevices();
  const of = (kind: MediaDeviceKind, chosen: string | undefined): AudioDevice[] =>
    all
      .filter((device) => device.kind === kind)
      .map(({ deviceId, label }) => ({ id: deviceId, label, chosen: deviceId === chosen }));
  return { microphones: of('audioinput', microphoneId), speakers: of('audiooutput', speakerId || 'default') };
}

/** @throws ParleyError `unimplemented` where browsers do not let pages choose, `not_found` for a device that is gone. */
export async function playOn(output: HTMLMediaElement | AudioContext, deviceId: string): Promise<void> {
  // Media elements have it in most browsers, an AudioContext in some.
  if (!('setSinkId' in output) || typeof output.setSinkId !== 'function') {
    throw callError('speaker_failed', 'unimplemented', 'this browser does not let pages choose the loudspeaker');
  }
  try {
    await output.setSinkId(deviceId);
  } catch (cause) {
    const name = cause instanceof Error ? cause.name : 'unknown reason';
    const code =
      name === 'NotFoundError' ? 'not_found' : name === 'NotAllowedError' ? 'permission_denied' : 'failed_precondition';
    throw callError('speaker_failed', code, `the loudspeaker could not be chosen (${name})`, { cause });
  }
}

export function onDeviceChange(listener: () => void): () => void {
  const off = new AbortController();
  navigator.mediaDevices.addEventListener('devicechange', listener, { signal: off.signal });
  return () => off.abort();
}
