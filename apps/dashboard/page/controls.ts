// The buttons and lists that a live call has: mute, push-to-talk, devices.

import type { AudioDevice, AudioDevices, Call, CallQuality } from '@parley/client';
import { elements } from './elements.ts';

export interface Controls {
  /** The call that is live, if any. */
  call: () => Call | null;
  report: (caught: unknown) => void;
}

const PATHS = { webrtc: 'WebRTC', websocket: 'WebSocket' };

export function bindControls({ call, report }: Controls): void {
  const act = (what: (live: Call) => unknown): void => {
    const live = call();
    if (!live) return;
    try {
      const done = what(live);
      if (done instanceof Promise) done.catch(report);
    } catch (caught) {
      report(caught);
    }
  };
  elements.mute.addEventListener('click', () => act((live) => live.mute(!live.muted)));
  const press = (): void => act((live) => live.press());
  const release = (): void => act((live) => live.release());
  elements.press.addEventListener('pointerdown', (event) => {
    // The finger may slide off the button before it is lifted.
    elements.press.setPointerCapture(event.pointerId);
    press();
  });
  for (const end of ['pointerup', 'pointercancel', 'blur'] as const) elements.press.addEventListener(end, release);
  elements.press.addEventListener('keydown', ({ key, repeat }) => {
    if ((key === ' ' || key === 'Enter') && !repeat) press();
  });
  elements.press.addEventListener('keyup', ({ key }) => {
    if (key === ' ' || key === 'Enter') release();
  });
  elements.press.addEventListener('contextmenu', (event) => event.preventDefault());
  elements.microphone.addEventListener('change', () => act((live) => live.setMicrophone(elements.microphone.value)));
  elements.loudspeaker.addEventListener('change', () => act((live) => live.setSpeaker(elements.loudspeaker.value)));
}

export function showControls(call: Call | null, starting: boolean): void {
  const live = call !== null;
  document.body.dataset['call'] = live ? 'live' : 'none';
  elements.call.textContent = live ? 'Hang up' : 'Start call';
  elements.call.disabled = starting;
  elements.target.disabled = live || starting;
  elements.text.disabled = !live;
  elements.send.disabled = !live;
  elements.path.textContent = call ? PATHS[call.path] : '';
  if (!live) {
    for (const list of [elements.microphone, elements.loudspeaker]) list.disabled = true;
    elements.mic.value = 0;
    elements.speaker.value = 0;
  }
  showMicrophone(call);
}

export function showMicrophone(call: Call | null): void {
  const muted = call?.muted ?? false;
  elements.mute.disabled = call === null;
  elements.mute.textContent = muted ? 'Unmute' : 'Mute';
  elements.mute.setAttribute('aria-pressed', String(muted));
  elements.press.disabled = call === null;
  elements.press.setAttribute('aria-pressed', String(call?.pressed ?? false));
  elements.press.classList.toggle('wanted', call?.pushToTalk ?? false);
}

export function showQuality({ roundTripMs, jitterMs, lost }: CallQuality): void {
  const known = (value: number | null, unit: string): string => (value === null ? '?' : `${value.toFixed(0)} ${unit}`);
  elements.path.textContent = `${PATHS.webrtc} · ${known(roundTripMs, 'ms')}`;
  const share = lost === null ? null : lost * 100;
  elements.path.title = `There and back ${known(roundTripMs, 'ms')}, jitter ${known(jitterMs, 'ms')}, lost ${known(share, '%')}`;
}

export function showDevices({ microphones, speakers }: AudioDevices): void {
  fill(elements.microphone, microphones, 'Microphone');
  fill(elements.loudspeaker, speakers, 'Loudspeaker');
}

function fill(list: HTMLSelectElement, devices: readonly AudioDevice[], name: string): void {
  const options = devices.map(({ id, label, chosen }, index) => {
    return new Option(label || `${name} ${index + 1}`, id, chosen, chosen);
  });
  list.replaceChildren(...(options.length > 0 ? options : [new Option(`${name} of the system`)]));
  list.disabled = options.length < 2;
}
