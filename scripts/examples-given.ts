// What examples of the docs take as given: names that a reader knows to be his own. By package; `*` is for all. Each is a
// line of TypeScript, which may name whatever our packages export.

type Given = Readonly<Record<string, string>>;

const given = (names: Readonly<Record<string, string>>): Given =>
  Object.fromEntries(Object.entries(names).map(([name, type]) => [name, `declare const ${name}: ${type};`]));
const from = (specifier: string, ...names: string[]): Given =>
  Object.fromEntries(names.map((name) => [name, `import { ${name} } from '${specifier}';`]));

/** Whoever shows, plays or keeps something. */
const CALLED = '(...given: unknown[]) => void';

export const GIVEN: Readonly<Record<string, Given>> = {
  '*': {
    ...from('zod', 'z'),
    ...from('node:fs/promises', 'readFile', 'writeFile', 'readdir'),
    ...from('node:path', 'join'),
    ...from('node:os', 'homedir'),
    ...given({ key: 'string', baseUrl: 'string', base_url: 'string', url: 'string', workingDirectory: 'string' }),
  },
  '@parley/client': {
    ...given({
      id: 'string',
      token: 'string',
      sessionId: 'string',
      session: "ContractType<'StartResponse'>",
      parley: 'ParleyClient',
    }),
    ...given({ show: CALLED, write: CALLED, list: CALLED, mark: CALLED, draw: CALLED, explain: CALLED }),
    ...given({ button: 'HTMLButtonElement' }),
  },
  '@parley/codex': given({ test: '{ skipIf(skipped: boolean): (name: string, body: () => Promise<void>) => void }' }),
  '@parley/core': given({ body: 'string' }),
  '@parley/media': {
    ...given({ model: '{ hear(samples: Int16Array): void }', samples: 'Int16Array', offer: 'string', delta: 'string' }),
    ...given({ peer: 'MediaPeer', out: 'OpusOut' }),
  },
  '@parley/providers': given({ session: 'ModelSessionOptions', frame: 'Buffer', reject: CALLED }),
  '@parley/realtime': {
    ...given({
      agent: 'RealtimeAgent',
      billing: 'RealtimeAgent',
      runner: 'RealtimeRunner',
      session: 'RealtimeSession',
    }),
    ...given({ fetchWeather: '(city: string, signal: AbortSignal) => Promise<string>' }),
    ...given({
      notes: '{ add(note: unknown): Promise<void> }',
      player: '{ play(data: Buffer, heard: () => void): void }',
    }),
    ...given({
      carrier: "{ send(frame: object): void; on(type: 'mark', told: (mark: { name: string }) => void): void }",
    }),
    ...given({
      Client: 'new (info: object) => MCPClient & { connect(to: unknown): Promise<void> }',
      transport: 'unknown',
    }),
  },
  '@parley/session': {
    ...given({ support: 'Agent', launcher: 'AgentLauncher', context: 'Context' }),
    ...given({ orders: '{ get(order: string): string }', Support: 'new () => object' }),
  },
  '@parley/simulator': {
    ...given({ text: 'string', simulator: 'Simulator', page: 'TestedPage & { goto(url: string): Promise<unknown> }' }),
    ...given({ expect: '{ poll<T>(look: () => T): { toBe(value: Awaited<T>): Promise<void> } }' }),
  },
  '@parley/transport': {
    ...given({ pcm: 'Buffer', sleep: '(ms: number) => Promise<void>' }),
  },
  '@parley/turns': {
    ...from('@parley/codex', 'startCodex'),
    ...given({ runner: 'AgentRunner', factory: 'AgentSessionFactory', coder: 'Agent', error: 'Error' }),
    ...given({ outputSchema: 'Record<string, unknown>' }),
  },
};
