// The cable between a testee and the control plane: it can be cut, held still, taken away, and plugged in elsewhere.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

type State = 'through' | 'still' | 'away';

export class Cable implements AsyncDisposable {
  readonly #server;
  readonly #sockets = new Set<Socket>();
  #to: URL;
  #state: State = 'through';
  #dialled = 0;

  private constructor(to: string) {
    this.#to = new URL(to);
    this.#server = createServer((near) => this.#join(near));
  }

  static async to(url: string): Promise<Cable> {
    const cable = new Cable(url);
    cable.#server.listen(0, '127.0.0.1');
    await once(cable.#server, 'listening');
    return cable;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Connections that were opened so far, the refused ones among them. */
  get dialled(): number {
    return this.#dialled;
  }

  /** Resets every connection; new ones are taken at once. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Resets every connection, and every new one, until `restore`. */
  takeAway(): void {
    this.#state = 'away';
    this.cut();
  }

  /** Nothing arrives any more, and nothing is told: a peer that hangs. */
  hold(): void {
    this.#state = 'still';
    for (const socket of this.#sockets) socket.pause();
  }

  restore(): void {
    this.#state = 'through';
    for (const socket of this.#sockets) socket.resume();
  }

  /** Later connections go there; those that are open stay where they are. */
  plugInto(url: string): void {
    this.#to = new URL(url);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(near: Socket): void {
    this.#dialled += 1;
    if (this.#state === 'away') return void near.resetAndDestroy();
    const far = connect(Number(this.#to.port), this.#to.hostname);
    this.#carry(near, far);
    this.#carry(far, near);
  }

  #carry(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.setNoDelay(true);
    // What an error means is said by the close that follows it.
    from.on('error', () => {});
    from.on('data', (bytes) => {
      if (to.write(bytes)) return;
      from.pause();
      to.once('drain', () => {
        if (this.#state !== 'still') from.resume();
      });
    });
    from.on('end', () => to.end());
    from.on('close', () => {
      this.#sockets.delete(from);
      to.destroy();
    });
    if (this.#state === 'still') from.pause();
  }
}
