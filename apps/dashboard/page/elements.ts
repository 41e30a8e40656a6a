// The elements of the page, found once; a page without one of them is a mistake of ours.

function one<T extends Element>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no #${id}`);
  return found;
}

export const elements = {
  target: one('target', HTMLSelectElement),
  keyForm: one('key-form', HTMLFormElement),
  key: one('key', HTMLInputElement),
  call: one('call', HTMLButtonElement),
  mute: one('mute', HTMLButtonElement),
  press: one('press', HTMLButtonElement),
  path: one('path', HTMLSpanElement),
  microphone: one('microphone', HTMLSelectElement),
  loudspeaker: one('loudspeaker', HTMLSelectElement),
  state: one('state', HTMLParagraphElement),
  mic: one('mic', HTMLMeterElement),
  speaker: one('speaker', HTMLMeterElement),
  scroll: one('scroll', HTMLDivElement),
  hint: one('hint', HTMLParagraphElement),
  conversation: one('conversation', HTMLOListElement),
  write: one('write', HTMLFormElement),
  text: one('text', HTMLInputElement),
  send: one('send', HTMLButtonElement),
  tools: one('tools', HTMLOListElement),
  workflow: one('workflow', HTMLDivElement),
  problem: one('problem', HTMLDivElement),
  problemText: one('problem-text', HTMLParagraphElement),
  withoutMicrophone: one('without-microphone', HTMLButtonElement),
  session: one('session', HTMLElement),
};

/** Null takes the last one away. */
export function showProblem(message: string | null, options: { offerWriting?: boolean } = {}): void {
  elements.problem.hidden = message === null;
  elements.problemText.textContent = message;
  elements.withoutMicrophone.hidden = options.offerWriting !== true;
}
