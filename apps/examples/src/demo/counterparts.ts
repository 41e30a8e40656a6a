// Where the simulator speaks the protocol of each provider: the path of its base URL.

export const COUNTERPARTS: Readonly<Record<string, string>> = {
  azure_openai: '/openai/v1',
  gemini: '',
  openai: '/v1',
  openai_compatible: '/v1',
  openai_live: '/v1',
  openrouter: '/api/v1',
  simulator: '/v1',
  xai: '/xai/v1',
};
