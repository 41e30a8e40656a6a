// The native library has threads of its own, which keep a process alive when its last connection is long gone. So they
// are let go when nothing was open for a while; the next connection starts them again.

/** Letting go and starting again costs some milliseconds: calls that follow one another should not pay it. */
const IDLE_MS = 500;

let open = 0;
let idle: NodeJS.Timeout | null = null;

/** A connection was made. */
export function held(): void {
  open += 1;
  if (idle) clearTimeout(idle);
  idle = null;
}

/** A connection ended; `cleanup` is the library's. */
export function released(cleanup: () => void): void {
  open -= 1;
  if (open > 0) return;
  idle = setTimeout(cleanup, IDLE_MS);
}
