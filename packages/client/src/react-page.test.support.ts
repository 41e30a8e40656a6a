// The page of the tests of `useCall`.

import { createElement, Fragment, StrictMode, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { callProblemOf } from './call/problems.ts';
import { type UseCall, useCall, useCallLevel } from './react.ts';

declare global {
  interface Window {
    identities: Set<string>;
    streams: MediaStream[];
  }
}

/** Names each function by when it was first seen: two of one name are two identities. */
const seen = new Map<unknown, number>();
window.identities = new Set();
window.streams = [];
const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => {
  const stream = await real(wanted);
  window.streams.push(stream);
  return stream;
};

function identityOf(call: UseCall): string {
  const { start, hangUp, mute, unmute, press, release, interrupt, sendText, setMicrophone, setSpeaker } = call;
  return [start, hangUp, mute, unmute, press, release, interrupt, sendText, setMicrophone, setSpeaker]
    .map((one) => {
      if (!seen.has(one)) seen.set(one, seen.size);
      return seen.get(one);
    })
    .join();
}

function Talk() {
  const call = useCall();
  const { mic } = useCallLevel(call.call);
  if (call.state !== 'idle') window.identities.add(identityOf(call));
  const show = (id: string, text: string) => createElement('p', { id, key: id }, text);
  const button = (id: string, onClick: () => void) => createElement('button', { id, key: id, onClick }, id);
  return createElement(Fragment, null, [
    show('state', call.state),
    show('path', call.path ?? ''),
    show('lines', call.lines.map((line) => `${line.track}: ${line.text}${line.final ? '' : '…'}`).join('\n')),
    show(
      'tools',
      call.tools.map((one) => `${JSON.stringify(one.input)} ${one.status} ${String(one.output)}`).join('\n'),
    ),
    show('error', call.error ? `${callProblemOf(call.error)}: ${call.error.message}` : ''),
    show('muted', String(call.muted)),
    show('level', mic.toFixed(3)),
    button('start', () => void call.start({ url: location.origin, sessionId: 'sess_1', audio: true })),
    button('hang-up', () => void call.hangUp()),
    button('mute', () => call.mute()),
  ]);
}

function Page() {
  const [there, setThere] = useState(true);
  return createElement(Fragment, null, [
    there ? createElement(Talk, { key: 'talk' }) : null,
    createElement('button', { id: 'unmount', key: 'unmount', onClick: () => setThere(false) }, 'unmount'),
  ]);
}

const root = document.createElement('main');
document.body.append(root);
createRoot(root).render(createElement(StrictMode, null, createElement(Page)));
