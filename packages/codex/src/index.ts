// the backend
export { CodexSessionFactory, startCodex } from './factory.ts';
export type { CodexRunner } from './runner.ts';
// its options
export type { ApprovalDecision, ApprovalRequest, CodexOptions, CodexProvider, McpServer } from './options.ts';
// the binary
export { CODEX_VERSION, type CodexBinary, findCodex } from './binary.ts';
