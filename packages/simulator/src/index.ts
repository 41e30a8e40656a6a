// running a simulator
export { type Simulator, type SimulatorOptions, startSimulator } from './simulator.ts';
export type { SimulatorCall } from './call/call.ts';
export type { SimulatorSession } from './session/session.ts';
export type { SimulatorTurn } from './chat/log.ts';
export type { VoiceChoice } from './voice.ts';
export { DEFAULT_LIMITS, type SimulatorLimits } from './limits.ts';
// what it says and calls
export { DEFAULT_SCRIPT, parseScript, type Script, type ScriptCall, type ScriptRule } from './script.ts';
// what goes wrong
export { type Fault, FaultPlan, type FaultPoint } from './faults.ts';
// time
export { type Clock, type ClockTimer, REAL_CLOCK, VirtualClock } from './clock.ts';
