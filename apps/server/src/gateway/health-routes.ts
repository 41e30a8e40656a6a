// /health /live /ready /metrics, and the description of the interface itself.

import { ParleyError } from '@parley/core';
import type { Metrics } from '../telemetry/metrics.ts';
import { openApi } from './openapi.ts';
import type { Route } from './route.ts';

export interface Health {
  version: string;
  draining: () => boolean;
  /** Null when the disk takes writes, or what is wrong. */
  storeProblem: () => string | null;
  providers: () => string[];
  counts: () => Record<string, number>;
}

export function healthRoutes(health: Health, metrics: Metrics, all: () => readonly Route[]): Route[] {
  const status = () => (health.storeProblem() !== null ? 'failed' : health.draining() ? 'draining' : 'ok');
  return [
    {
      method: 'GET',
      path: '/health',
      summary: 'How this server is.',
      scope: 'public',
      response: 'HealthResponse',
      handle: async () => ({ status: status(), version: health.version }),
    },
    {
      method: 'GET',
      path: '/live',
      summary: '200 while the process can answer.',
      scope: 'public',
      response: 'HealthResponse',
      handle: async () => ({ status: 'ok', version: health.version }),
    },
    {
      method: 'GET',
      path: '/ready',
      summary: '200 while new work is taken; 503 while draining or broken.',
      scope: 'public',
      response: 'HealthResponse',
      async handle() {
        const now = status();
        if (now !== 'ok')
          throw new ParleyError('unavailable', health.storeProblem() ?? 'this server is draining', {
            retry_after_ms: 1000,
          });
        return { status: now, version: health.version };
      },
    },
    {
      method: 'GET',
      path: '/api/v1/status',
      summary: 'What this server has: providers, counts.',
      scope: 'observe',
      response: 'HealthResponse',
      handle: async () => ({
        status: status(),
        version: health.version,
        checks: { providers: health.providers(), ...health.counts() },
      }),
    },
    {
      method: 'GET',
      path: '/metrics',
      summary: 'Prometheus metrics.',
      scope: 'observe',
      async handle({ reply }) {
        reply.header('content-type', metrics.registry.contentType);
        return metrics.registry.metrics();
      },
    },
    {
      method: 'GET',
      path: '/api/v1/openapi.json',
      summary: 'This description.',
      scope: 'public',
      handle: async () => openApi(all(), health.version),
    },
  ];
}
