// The provider of the bridge benches: as much of OpenAI Realtime as a bridge needs. It answers the first sound with a
// long answer, and says on demand that the user speaks over it; or it answers each frame with a frame.

import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

const RATE = 24_000;
const SESSION = { id: 'sess_bench', type: 'realtime', model: 'bench', output_modalities: ['audio'] };

export interface VoiceUpstream {
  port: number;
  /** Says to every session that the user speaks; returns when. */
  interrupt: () => number;
  close: () => void;
}

/** @param answers `echo`: a frame for each frame. `story`: ten seconds for the first one. */
export async function startVoiceUpstream(answers: 'echo' | 'story'): Promise<VoiceUpstream> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  let responses = 0;
  server.on('connection', (socket) => {
    const say = (event: object): void => socket.send(JSON.stringify({ event_id: 'event_bench', ...event }));
    say({ type: 'session.created', session: SESSION });
    let response_id = '';
    const begin = (): void => {
      responses += 1;
      response_id = `resp_${responses}`;
      say({ type: 'response.created', response: { id: response_id, status: 'in_progress', output: [] } });
    };
    const sound = delta(socket);
    socket.on('message', (data: Buffer) => {
      const type = data.toString('latin1', 0, 40);
      if (type.includes('session.update')) say({ type: 'session.updated', session: SESSION });
      else if (type.includes('input_audio_buffer.append')) {
        if (response_id === '') {
          begin();
          if (answers === 'story') sound(response_id, 10_000);
        }
        if (answers === 'echo') sound(response_id, 20);
      }
    });
  });
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    interrupt: () => {
      const now_ms = performance.now();
      const event = { type: 'input_audio_buffer.speech_started', item_id: 'item_user', audio_start_ms: 0 };
      for (const socket of server.clients) socket.send(JSON.stringify({ event_id: 'event_bench', ...event }));
      return now_ms;
    },
    close: () => {
      for (const socket of server.clients) socket.terminate();
      server.close();
    },
  };
}

function delta(socket: WebSocket): (response_id: string, ms: number) => void {
  const texts = new Map<number, string>();
  return (response_id, ms) => {
    let text = texts.get(ms);
    if (text === undefined) {
      const tone = Int16Array.from(
        { length: (RATE * ms) / 1000 },
        (_, n) => 6000 * Math.sin((2 * Math.PI * 440 * n) / RATE),
      );
      text = Buffer.from(tone.buffer).toString('base64');
      texts.set(ms, text);
    }
    const ids = `"response_id":"${response_id}","item_id":"item_${response_id}","output_index":0,"content_index":0`;
    socket.send(`{"type":"response.output_audio.delta","event_id":"event_bench",${ids},"delta":"${text}"}`);
  };
}
