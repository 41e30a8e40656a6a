// The two ends of a browser's audio thread, as the source of one module: it runs in an AudioWorkletGlobalScope, which
// has no imports of ours, and it has to survive bundlers and minifiers, so it is text.
//
// A page whose Content-Security-Policy has no `blob:` in `script-src` serves this text as a file of its own and passes
// its address as `browser.workletUrl`.

export const WORKLET_SOURCE = `
// Microphone: mono pieces of about 20 ms.
class ParleyMic extends AudioWorkletProcessor {
  constructor() {
    super();
    this.size = Math.round(sampleRate / 50);
    this.buffer = new Float32Array(this.size);
    this.filled = 0;
  }
  process([input]) {
    const channel = input[0];
    if (!channel) return true;
    for (let at = 0; at < channel.length; ) {
      const count = Math.min(channel.length - at, this.size - this.filled);
      this.buffer.set(channel.subarray(at, at + count), this.filled);
      this.filled += count;
      at += count;
      if (this.filled === this.size) {
        this.port.postMessage(this.buffer, [this.buffer.buffer]);
        this.buffer = new Float32Array(this.size);
        this.filled = 0;
      }
    }
    return true;
  }
}
// Loudspeaker: a queue that tells how much of it was played, and that is emptied at once. A report carries the number
// of the last cut, so that one that crossed it on the way is known to be of the past.
class ParleySpeaker extends AudioWorkletProcessor {
  constructor() {
    super();
    this.queue = [];
    this.at = 0;
    this.played = 0;
    this.power = 0;
    this.since = 0;
    this.cut = 0;
    this.port.onmessage = ({ data }) => {
      if (data instanceof Float32Array) return this.queue.push(data);
      this.queue = [];
      this.at = 0;
      this.played = 0;
      this.power = 0;
      this.cut = data;
    };
  }
  process(_inputs, [output]) {
    const channel = output[0];
    let filled = 0;
    while (filled < channel.length && this.queue.length > 0) {
      const head = this.queue[0];
      const count = Math.min(channel.length - filled, head.length - this.at);
      channel.set(head.subarray(this.at, this.at + count), filled);
      filled += count;
      this.at += count;
      if (this.at === head.length) {
        this.queue.shift();
        this.at = 0;
      }
    }
    for (let i = 0; i < filled; i++) this.power += channel[i] * channel[i];
    for (let c = 1; c < output.length; c++) output[c].set(channel);
    this.played += filled;
    this.since += channel.length;
    if (this.since >= sampleRate / 50) {
      if (this.played > 0 || this.told) {
        this.port.postMessage({ played: this.played, level: Math.sqrt(this.power / this.since), cut: this.cut });
      }
      this.told = this.played > 0;
      this.played = 0;
      this.power = 0;
      this.since = 0;
    }
    return true;
  }
}
registerProcessor('parley-mic', ParleyMic);
registerProcessor('parley-speaker', ParleySpeaker);
`;
