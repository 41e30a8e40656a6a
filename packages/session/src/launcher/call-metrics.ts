// What one call was like, from the entries of its log: how much was said, and how long the user waited.

import type { EventRecord, SessionEvent, Usage } from '@parley/core';

/** Waiting times of one call, in milliseconds, of its latest answers. */
export interface LatencyReport {
  count: number;
  last_ms: number;
  avg_ms: number;
  p50_ms: number;
  p95_ms: number;
  p99_ms: number;
}

export interface CallMetricsReport {
  turns: number;
  responses: number;
  interruptions: number;
  tool_calls: number;
  tool_failures: number;
  user_audio_ms: number;
  reply_audio_ms: number;
  /** From the end of the user's turn to the begin of the answer. */
  response_latency?: LatencyReport;
  tool_latency?: LatencyReport;
  usage: Usage;
}

const KEPT_MAX = 1_000;

export class CallMetrics {
  readonly #waited = new Latencies();
  readonly #tools = new Latencies();
  #turns = 0;
  #responses = 0;
  #interruptions = 0;
  #toolCalls = 0;
  #toolFailures = 0;
  #userAudioMs = 0;
  #replyAudioMs = 0;
  #usage: Usage = {};
  #turnEndedAt: number | null = null;
  /** Of a session that runs elsewhere: what it reported last. */
  #reported: CallMetricsReport | null = null;

  event(entry: EventRecord<SessionEvent>): void {
    switch (entry.type) {
      case 'turn.completed':
        this.#turns += 1;
        this.#userAudioMs += entry.audio_ms ?? 0;
        this.#turnEndedAt ??= entry.at_ms;
        return;
      case 'speech.stopped':
        this.#turnEndedAt = entry.at_ms;
        return;
      case 'input.injected':
        if (entry.respond) this.#turnEndedAt = entry.at_ms;
        return;
      case 'response.started':
        this.#responses += 1;
        if (this.#turnEndedAt !== null) this.#waited.add(entry.at_ms - this.#turnEndedAt);
        this.#turnEndedAt = null;
        return;
      case 'response.completed':
        this.#replyAudioMs += entry.audio_ms;
        for (const [name, value] of Object.entries(entry.usage ?? {})) {
          const key = name as keyof Usage;
          this.#usage[key] = (this.#usage[key] ?? 0) + (value ?? 0);
        }
        return;
      case 'response.interrupted':
        this.#interruptions += 1;
        return;
      case 'tool.completed':
        this.#toolCalls += 1;
        if (entry.status !== 'succeeded') this.#toolFailures += 1;
        this.#tools.add(entry.duration_ms);
        return;
      default:
        return;
    }
  }

  /** Takes the report of a session that runs in a thread or a process of its own. */
  reported(report: CallMetricsReport): void {
    this.#reported = report;
  }

  report(): CallMetricsReport {
    if (this.#reported) return this.#reported;
    const waited = this.#waited.report();
    const tools = this.#tools.report();
    return {
      turns: this.#turns,
      responses: this.#responses,
      interruptions: this.#interruptions,
      tool_calls: this.#toolCalls,
      tool_failures: this.#toolFailures,
      user_audio_ms: this.#userAudioMs,
      reply_audio_ms: this.#replyAudioMs,
      ...(waited && { response_latency: waited }),
      ...(tools && { tool_latency: tools }),
      usage: { ...this.#usage },
    };
  }
}

class Latencies {
  readonly #kept: number[] = [];
  #count = 0;
  #sum = 0;
  #last = 0;

  add(ms: number): void {
    this.#last = ms;
    this.#sum += ms;
    this.#kept[this.#count % KEPT_MAX] = ms;
    this.#count += 1;
  }

  report(): LatencyReport | null {
    if (this.#count === 0) return null;
    const sorted = [...this.#kept].sort((a, b) => a - b);
    const at = (part: number): number => sorted[Math.ceil(sorted.length * part) - 1] as number;
    return {
      count: this.#count,
      last_ms: this.#last,
      avg_ms: this.#sum / this.#count,
      p50_ms: at(0.5),
      p95_ms: at(0.95),
      p99_ms: at(0.99),
    };
  }
}
