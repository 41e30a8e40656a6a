// How loud a stream of a browser is.

const SAMPLES = 2048;

export class Meter {
  readonly #context: AudioContext;
  readonly #analyser: AnalyserNode;
  readonly #samples = new Float32Array(SAMPLES);
  #from: MediaStreamAudioSourceNode | null = null;

  constructor(context: AudioContext) {
    this.#context = context;
    this.#analyser = new AnalyserNode(context, { fftSize: SAMPLES });
  }

  /** Listens to this stream from now on. */
  listenTo(stream: MediaStream): void {
    this.#from?.disconnect();
    this.#from = this.#context.createMediaStreamSource(stream);
    this.#from.connect(this.#analyser);
  }

  /** The root mean square of the last 40 milliseconds or so, 0 to 1. */
  get level(): number {
    if (this.#from === null) return 0;
    this.#analyser.getFloatTimeDomainData(this.#samples);
    let sum = 0;
    for (const sample of this.#samples) sum += sample * sample;
    return Math.sqrt(sum / SAMPLES);
  }
}
