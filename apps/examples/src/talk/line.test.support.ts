// A line between a browser and a server that can be cut, as a network is.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export class Line implements AsyncDisposable {
  readonly url: string;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;
  readonly #state: { cut: boolean };

  private constructor(server: Server, sockets: Set<Socket>, state: { cut: boolean }) {
    this.#server = server;
    this.#sockets = sockets;
    this.#state = state;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async to(port: number): Promise<Line> {
    const sockets = new Set<Socket>();
    const state = { cut: false };
    const keep = (socket: Socket, other: () => Socket | undefined): void => {
      sockets.add(socket);
      // An end that was cut is not this line's error to tell: the other end sees it as its own.
      socket.on('error', () => socket.destroy());
      socket.once('close', () => {
        sockets.delete(socket);
        other()?.destroy();
      });
    };
    const server = createServer((near) => {
      if (state.cut) {
        near.resetAndDestroy();
        return;
      }
      const far = connect(port, '127.0.0.1');
      keep(near, () => far);
      keep(far, () => near);
      near.pipe(far).pipe(near);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Line(server, sockets, state);
  }

  /** Every connection breaks, and no new one is made. */
  cut(): void {
    this.#state.cut = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  mend(): void {
    this.#state.cut = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
