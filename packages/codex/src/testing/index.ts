// For tests of programs that use Codex: the real binary, and a provider on loopback that does as it is told.
export {
  type Recorded,
  type ResponsesBody,
  type InputItem,
  promptsOf,
  type ScriptedProvider,
  script,
  startScriptedProvider,
  type ScriptedProviderOptions,
  type Step,
} from './scripted-provider.ts';
