// What /metrics shows. Counters and gauges only on hot paths; nothing here is labelled by session.

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export class Metrics {
  readonly registry = new Registry();
  readonly sessionsStarted = this.#counter('parley_sessions_started_total', 'Sessions started.', ['provider']);
  readonly sessionsClosed = this.#counter('parley_sessions_closed_total', 'Sessions closed.', ['reason']);
  readonly toolCalls = this.#counter('parley_tool_calls_total', 'Tool calls by how they ended.', ['status']);
  readonly frames = this.#counter(
    'parley_frames_total',
    'Frames relayed, counted when their session ends; `in` comes from clients.',
    ['direction'],
  );
  readonly framesDropped = this.#counter('parley_frames_dropped_total', 'Audio frames that a slow client missed.', []);
  readonly executionsEnded = this.#counter('parley_executions_ended_total', 'Executions by how they ended.', [
    'status',
  ]);
  readonly errors = this.#counter('parley_http_errors_total', 'Errors answered over HTTP.', ['code']);
  readonly httpSeconds = new Histogram({
    name: 'parley_http_request_seconds',
    help: 'Time to answer an HTTP request.',
    labelNames: ['route', 'method'],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60],
    registers: [this.registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  /** A gauge that is read when somebody looks. */
  gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(read());
      },
    });
  }

  #counter<T extends string>(name: string, help: string, labelNames: T[]): Counter<T> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }
}
