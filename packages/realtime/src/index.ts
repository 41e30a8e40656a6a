// running an agent
export { RealtimeRunner } from './runner.ts';
export { RealtimeSession, type SendMessageOptions } from './session.ts';
export type { RealtimeUserInput } from './run/inputs.ts';
export type { Spoken } from './run/engine.ts';
export type { SessionClosed } from './run/parts.ts';
export {
  DEFAULT_LIMITS,
  type RealtimeLimits,
  type RealtimeModelConfig,
  type RealtimeModelSource,
  type RealtimeRunConfig,
  type RealtimeRunnerOptions,
  type RealtimeRunOptions,
  type ReconnectOptions,
  type RenewalOptions,
  type ReplayOptions,
  type ToolErrorFormatter,
} from './options.ts';
export type { RealtimeAudioFormat, RealtimeModelSettings, RealtimeTurnDetection } from './settings.ts';
// agents
export { type AgentHooks, RealtimeAgent, type RealtimeAgentOptions, type StoredPrompt } from './agent.ts';
export type { RunContext, ToolContext } from './context.ts';
export { type Handoff, handoff, type HandoffOptions, realtimeHandoff } from './handoff.ts';
// tools
export {
  type BackgroundResult,
  backgroundResult,
  isBackgroundResult,
  type OnInterrupt,
  type RealtimeTool,
  tool,
  type ToolOptions,
} from './tool.ts';
export { type HostedMCPTool, hostedMcpTool, type HostedMCPToolOptions } from './hosted-mcp.ts';
export { type MCPClient, type MCPServer, mcpServer, type MCPToolInfo } from './mcp.ts';
// guardrails
export type {
  GuardrailEnding,
  GuardrailResult,
  RealtimeInputGuardrail,
  RealtimeOutputGuardrail,
} from './guard/guardrail.ts';
export {
  defineToolInputGuardrail,
  defineToolOutputGuardrail,
  type ToolGuardrailBehavior,
  type ToolGuardrailOutput,
  type ToolInputGuardrail,
  type ToolInputGuardrailData,
  type ToolOutputGuardrail,
  type ToolOutputGuardrailData,
} from './guard/tool-guardrail.ts';
// events
export type { RealtimeListener } from './event-hub.ts';
export type {
  ClosedReason,
  GuardrailTripped,
  RealtimeEventFields,
  RealtimeEventOf,
  RealtimeEventType,
  RealtimeSessionEvent,
  ToolApprovalItem,
} from './events.ts';
// the conversation
export type {
  ItemStatus,
  RealtimeContent,
  RealtimeItem,
  RealtimeItemInput,
  RealtimeMcpApprovalRequestItem,
  RealtimeMcpCallItem,
  RealtimeMessageItem,
  RealtimeToolCallItem,
} from './history/item.ts';
export { type ReplayPlan, replayPlan } from './history/replay.ts';
// what was heard
export { type PlaybackPosition, PlaybackTracker } from './play/tracker.ts';
export { TelephonyMarks, type TelephonyMarksOptions } from './telephony.ts';
// seeing inside
export type { Telemetry } from './telemetry.ts';
// errors
export { ParleyError } from '@parley/core';
