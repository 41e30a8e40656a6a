// The nouns of the Realtime wire, as far as the simulator looks into them.

/** Any JSON object. */
export type Wire = Record<string, unknown>;

export interface ServerEvent extends Wire {
  type: string;
}

export interface ClientEvent extends Wire {
  type: string;
  event_id?: string;
}

export type AudioFormat = { type: 'audio/pcm'; rate: 24_000 } | { type: 'audio/pcmu' } | { type: 'audio/pcma' };

export type Modality = 'audio' | 'text';

export interface FunctionTool extends Wire {
  type: string;
  name?: string;
  parameters?: Wire;
}

export type ToolChoice = 'auto' | 'none' | 'required' | { type: string; name?: string };

export interface TurnDetection extends Wire {
  type: 'server_vad' | 'semantic_vad';
  threshold?: number;
  prefix_padding_ms?: number;
  silence_duration_ms?: number;
  idle_timeout_ms?: number | null;
  eagerness?: 'low' | 'medium' | 'high' | 'auto';
  create_response: boolean;
  interrupt_response: boolean;
}

export interface ContentPart extends Wire {
  type: string;
  text?: string;
  transcript?: string | null;
  audio?: string;
}

export interface Item extends Wire {
  id: string;
  object: 'realtime.item';
  type: string;
  status?: 'completed' | 'in_progress' | 'incomplete';
  role?: string;
  content?: ContentPart[];
  call_id?: string;
  name?: string;
  arguments?: string;
  output?: string;
}

/** True for a JSON object: not null, not a list. */
export function isObject(value: unknown): value is Wire {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
