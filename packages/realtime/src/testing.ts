// a model that says what a test tells it to
export { type Reply, ScriptedModel, type ScriptedModelOptions, type SentFrame } from './testing/scripted-model.ts';
// time that a test moves
export { VirtualTime } from './testing/virtual-time.ts';
// what goes wrong
export type { WireFault } from './testing/faults.ts';
// recorded conversations
export { recordTape, type Tape, type TapeFrame, tapeModel, type TapeRun } from './testing/tape.ts';
