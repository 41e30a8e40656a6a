// A provider under the hand of a test: a real WebSocket server that does the handshake of OpenAI Realtime by itself and
// otherwise says what the test tells it to.

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

type Json = Record<string, unknown>;

export interface GaPeer extends AsyncDisposable {
  base_url: string;
  /** Headers and path of the last upgrade. */
  request: { url: string; headers: Record<string, string | string[] | undefined> };
  /** Every HTTP request for a call: its path, headers and body. */
  requests: { path: string; headers: Record<string, string | string[] | undefined>; body: string }[];
  /** Upgrades so far. */
  upgrades: number;
  /** Calls whose control connection is accepted. */
  calls: Set<string>;
  /** Every frame that came, in order. */
  received: Json[];
  say: (...events: Json[]) => void;
  raw: (text: string) => void;
  /** The next frame of that type that was not asked for before. */
  next: (type: string) => Promise<Json>;
  close: (code: number, reason: string) => void;
  cut: () => void;
}

export interface GaPeerOptions {
  /** Instead of `session.created`. */
  greet?: (peer: GaPeer) => void;
  /** Instead of `session.updated`. */
  update?: (peer: GaPeer, update: Json) => void;
  upgradeStatus?: number;
  /** How a call is answered; `hold` never answers. */
  call?: { status?: number; headers?: Record<string, string>; body?: string; hold?: boolean };
  hangUpStatus?: number;
}

export async function gaPeer(options: GaPeerOptions = {}): Promise<GaPeer> {
  const http = createServer();
  const upgrades = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  let ws: WebSocket | null = null;
  let events = 0;
  let session: Json = { id: 'sess_peer' };
  const taken = new Map<string, number>();
  const arrivals = new EventTarget();
  const peer: GaPeer = {
    base_url: '',
    request: { url: '', headers: {} },
    requests: [],
    upgrades: 0,
    calls: new Set(),
    received: [],
    raw: (text) => ws?.send(text),
    say: (...list) => {
      for (const event of list) peer.raw(JSON.stringify({ event_id: `event_${(events += 1)}`, ...event }));
    },
    next: async (type) => {
      const nth = taken.get(type) ?? 0;
      taken.set(type, nth + 1);
      for (;;) {
        const found = peer.received.filter((frame) => frame['type'] === type)[nth];
        if (found) return found;
        await once(arrivals, 'frame');
      }
    },
    close: (code, reason) => ws?.close(code, reason),
    cut: () => ws?.terminate(),
    [Symbol.asyncDispose]: async () => {
      ws?.terminate();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
  http.on('request', (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const path = request.url ?? '';
      peer.requests.push({ path, headers: request.headers, body: Buffer.concat(chunks).toString() });
      arrivals.dispatchEvent(new Event('frame'));
      if (path.endsWith('/hangup')) {
        peer.calls.delete(path.split('/').at(-2) ?? '');
        response.writeHead(options.hangUpStatus ?? 200).end();
        return;
      }
      if (options.call?.hold) return;
      const call_id = `rtc_${peer.requests.length}`;
      const { status = 201, headers, body = ANSWER_SDP } = options.call ?? {};
      if (status === 201) peer.calls.add(call_id);
      const location = `/v1/realtime/calls/${call_id}`;
      response.writeHead(status, headers ?? { 'content-type': 'application/sdp', location }).end(body);
    });
  });
  http.on('upgrade', (request, socket, head) => {
    peer.request = { url: request.url ?? '', headers: request.headers };
    peer.upgrades += 1;
    const call_id = new URLSearchParams(peer.request.url.split('?')[1]).get('call_id');
    if (call_id !== null && !peer.calls.has(call_id)) {
      const body =
        '{"error":{"message":"No session found for the provided call_id","type":"invalid_request_error","code":"call_id_not_found","param":""}}';
      socket.end(`HTTP/1.1 404 No\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`);
      return;
    }
    if (options.upgradeStatus !== undefined) {
      socket.end(`HTTP/1.1 ${options.upgradeStatus} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      return;
    }
    upgrades.handleUpgrade(request, socket, head, (accepted) => {
      ws = accepted;
      ws.on('message', (data: Buffer) => {
        const frame = JSON.parse(data.toString()) as Json;
        peer.received.push(frame);
        arrivals.dispatchEvent(new Event('frame'));
        if (frame['type'] !== 'session.update') return;
        if (options.update) options.update(peer, frame);
        else peer.say({ type: 'session.updated', session: (session = { ...session, ...(frame['session'] as Json) }) });
      });
      if (options.greet) options.greet(peer);
      else peer.say({ type: 'session.created', session: { id: 'sess_peer', type: 'realtime' } });
    });
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  peer.base_url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/v1`;
  return peer;
}

export const ANSWER_SDP = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n';

/** The frames of one spoken answer, in the provider's order. */
export function spokenAnswer(
  n: number,
  text: string,
  sound: Buffer,
  options: { metadata?: unknown; status?: string; reason?: string; created?: boolean } = {},
): Json[] {
  const { metadata = null, status = 'completed', reason, created = true } = options;
  const response_id = `resp_${n}`;
  const item_id = `item_a${n}`;
  const at = { response_id, item_id, output_index: 0, content_index: 0 };
  const item = {
    id: item_id,
    object: 'realtime.item',
    type: 'message',
    status: status === 'completed' ? 'completed' : 'incomplete',
    role: 'assistant',
    content: [{ type: 'output_audio', transcript: text }],
  };
  const response = { id: response_id, object: 'realtime.response', conversation_id: 'conv_1', metadata };
  const status_details = reason === undefined ? null : { type: status, reason };
  const usage = {
    total_tokens: 30,
    input_tokens: 10,
    output_tokens: 20,
    input_token_details: { text_tokens: 4, audio_tokens: 6, cached_tokens: 2 },
    output_token_details: { text_tokens: 5, audio_tokens: 15 },
  };
  const half = Math.ceil(sound.length / 2);
  return [
    ...(created ? [{ type: 'response.created', response: { ...response, status: 'in_progress', output: [] } }] : []),
    { type: 'response.output_item.added', response_id, output_index: 0, item: { ...item, content: [] } },
    { type: 'conversation.item.added', previous_item_id: null, item: { ...item, content: [] } },
    { type: 'response.content_part.added', ...at, part: { type: 'audio', transcript: '' } },
    { type: 'response.output_audio_transcript.delta', ...at, delta: text },
    { type: 'response.output_audio.delta', ...at, delta: sound.subarray(0, half).toString('base64') },
    { type: 'response.output_audio.delta', ...at, delta: sound.subarray(half).toString('base64') },
    { type: 'response.output_audio.done', ...at },
    { type: 'response.output_audio_transcript.done', ...at, transcript: text },
    { type: 'response.content_part.done', ...at, part: { type: 'audio', transcript: text } },
    { type: 'conversation.item.done', previous_item_id: null, item },
    { type: 'response.output_item.done', response_id, output_index: 0, item },
    { type: 'response.done', response: { ...response, status, status_details, output: [item], usage } },
    { type: 'rate_limits.updated', rate_limits: [] },
  ];
}
