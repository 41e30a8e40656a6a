// How Codex is started: its command line and its environment. Neither holds a secret, because commands of the model can read
// both; keys go over stdin, with each conversation (conversation-config.ts).

import { type CodexBinary, pathOf } from './binary.ts';
import type { CodexSettings } from './options.ts';

/** Features that would make an agent depend on more than what its config says, or that talk to the outside by themselves. */
const QUIET: Readonly<Record<string, boolean | string>> = {
  check_for_update_on_startup: false,
  'analytics.enabled': false,
  'features.plugins': false,
  'features.apps': false,
  'features.goals': false,
  'features.multi_agent': false,
  // The caller's deadline is the bound: an unreachable provider is told at once, and not tried for ever.
  'features.unbounded_connection_retries': false,
  // A login shell costs 200 ms a command and its profile talks into the output.
  allow_login_shell: false,
  'shell_environment_policy.inherit': 'core',
};

/** Arguments after the binary. */
export function argumentsOf(settings: CodexSettings): string[] {
  const overrides = new Map<string, unknown>(Object.entries(QUIET));
  for (const [name, value] of Object.entries(settings.toolEnv ?? {})) {
    overrides.set(`shell_environment_policy.set.${name}`, value);
  }
  for (const provider of settings.providers) {
    const at = `model_providers.${provider.id}`;
    overrides.set(`${at}.name`, provider.name ?? provider.id);
    overrides.set(`${at}.base_url`, provider.baseUrl);
    overrides.set(`${at}.wire_api`, 'responses');
    overrides.set(`${at}.requires_openai_auth`, false);
    overrides.set(`${at}.supports_websockets`, provider.websockets ?? false);
    overrides.set(`${at}.request_max_retries`, provider.requestRetriesMax);
    overrides.set(`${at}.stream_max_retries`, provider.streamRetriesMax);
    overrides.set(`${at}.stream_idle_timeout_ms`, provider.streamIdleMs);
  }
  overrides.set('model_provider', settings.providers[0]?.id);
  overrides.set('model', settings.model);
  for (const [key, value] of Object.entries(settings.config ?? {})) overrides.set(key, value);

  const said = [...overrides].filter(([, value]) => value !== undefined);
  // What is in a home of the user's own is not ours to be strict about.
  const strict = settings.home === undefined ? ['--strict-config'] : [];
  return ['app-server', ...strict, ...said.flatMap(([key, value]) => ['-c', `${key}=${JSON.stringify(value)}`])];
}

/** What Codex needs of our environment: where things are, and how to reach the network. */
const PASSED =
  /^(?:HOME|USER|LOGNAME|SHELL|TZ|LANG|LC_\w+|TMPDIR|TEMP|TMP|SystemRoot|USERPROFILE|APPDATA|LOCALAPPDATA|COMSPEC|PATHEXT|SSL_CERT_FILE|SSL_CERT_DIR|(?:https?|all|no)_proxy|(?:HTTPS?|ALL|NO)_PROXY)$/;

/** The whole environment of Codex. */
export function environmentOf(settings: CodexSettings, binary: CodexBinary, home: string): Record<string, string> {
  const passed = Object.entries(process.env).filter(
    (entry): entry is [string, string] => PASSED.test(entry[0]) && entry[1] !== undefined,
  );
  return { ...Object.fromEntries(passed), ...settings.env, PATH: pathOf(binary), CODEX_HOME: home };
}
