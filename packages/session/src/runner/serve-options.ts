// What the HTTP server of a runner can be told.

import { ParleyError } from '@parley/core';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { LaunchedSession } from '../launcher/launched-session.ts';

/**
 * Decides about one request. What it returns is who asks, and is kept with the session that is started; false, or a
 * thrown ParleyError (`unauthenticated`, `permission_denied`), refuses. `session` is the one that is asked about.
 */
export type PermissionHook = (request: FastifyRequest, session: LaunchedSession | null) => unknown;

export interface RunnerServeOptions {
  /** Your own app: the routes are added to it, and it is the one that listens. */
  app?: FastifyInstance | undefined;
  /** Before every path. Default none; `/v1` answers as well. */
  prefix?: string | undefined;
  /** Origins whose pages may ask, besides pages of this machine: `https://shop.example`. `*` is every one. */
  corsAllowOrigins?: readonly string[] | undefined;
  canStartSession?: PermissionHook | undefined;
  canViewSession?: PermissionHook | undefined;
  canCloseSession?: PermissionHook | undefined;
  canViewMetrics?: PermissionHook | undefined;
  /** A key that every request but the probes must bear. Default `PARLEY_SERVE_KEY`; needed off this machine where no hook guards the start. */
  key?: string | undefined;
  /** Bytes of a request's body. Default 1 MiB. */
  bodyBytesMax?: number | undefined;
  /** How long `?wait=active` may wait at most. Default 60,000. */
  waitMsMax?: number | undefined;
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[?::1\]?)$/;

/** Whether an address, or the host of a URL, is this machine. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host.toLowerCase());
}

/** Refuses to listen for others without something that guards the start. @throws ParleyError `failed_precondition`. */
export function checkExposure(host: string, options: RunnerServeOptions): void {
  if (isLoopback(host) || options.canStartSession || keyOf(options) !== undefined) return;
  throw new ParleyError(
    'failed_precondition',
    `${host} can be reached from other machines: set PARLEY_SERVE_KEY or serveOptions.canStartSession, or listen on 127.0.0.1`,
  );
}

export function keyOf(options: RunnerServeOptions): string | undefined {
  return options.key ?? (process.env['PARLEY_SERVE_KEY'] || undefined);
}
