// For tests of programs that use the port, and of adapters that implement it.
export {
  FakeAgentRunner,
  FakeAgentSessionFactory,
  type FakeOptions,
  type FakeReply,
  type FakeScript,
  type FakeTurn,
} from './fake.ts';
export { type AdapterUnderTest, agentRunnerSuite, type SuiteCase } from './suite.ts';
