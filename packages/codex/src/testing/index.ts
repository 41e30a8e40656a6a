// For tests of programs that use Codex: the real binary, and a provider on loopback that does as it is told.
export { noCodex } from './no-codex.ts';
export { type InputItem, promptsOf, type ResponsesBody, script, type Step } from './script.ts';
export {
  type Recorded,
  type ScriptedProvider,
  type ScriptedProviderOptions,
  startScriptedProvider,
} from './scripted-provider.ts';
