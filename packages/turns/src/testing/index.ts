// For tests of programs that use the port, and of adapters that implement it.
export { FakeAgentSessionFactory, type FakeOptions } from './fake.ts';
export { FakeAgentRunner } from './fake-runner.ts';
export type { FakeReply, FakeScript, FakeTurn } from './fake-script.ts';
export type { AdapterUnderTest } from './case.ts';
export { agentRunnerSuite, type SuiteCase } from './suite.ts';
