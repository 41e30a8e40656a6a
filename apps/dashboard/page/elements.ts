// The elements of the page, found once; a page without one of them is a mistake of ours.

function one<T extends Element>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no #${id}`);
  return found;
}

export const elements = {
  target: one('target', HTMLSelectElement),
  keyField: one('key-field', HTMLLabelElement),
  key: one('key', HTMLInputElement),
  call: one('call', HTMLButtonElement),
  mute: one('mute', HTMLButtonElement),
  state: one('state', HTMLParagraphElement),
  mic: one('mic', HTMLSpanElement),
  speaker: one('speaker', HTMLSpanElement),
  conversation: one('conversation', HTMLOListElement),
  write: one('write', HTMLFormElement),
  text: one('text', HTMLInputElement),
  tools: one('tools', HTMLOListElement),
  workflow: one('workflow', HTMLDivElement),
  problem: one('problem', HTMLParagraphElement),
};

export function showProblem(message: string | null): void {
  elements.problem.hidden = message === null;
  elements.problem.textContent = message;
}
