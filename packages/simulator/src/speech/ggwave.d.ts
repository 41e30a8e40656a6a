// The part of ggwave that is used; the package brings no types.
declare module 'ggwave' {
  export interface Parameters {
    sampleRateInp: number;
    sampleRateOut: number;
    sampleFormatInp: unknown;
    sampleFormatOut: unknown;
  }
  export interface Ggwave {
    getDefaultParameters(): Parameters;
    init(parameters: Parameters): number;
    free(instance: number): void;
    encode(instance: number, text: string, protocol: unknown, volume: number): Int8Array;
    decode(instance: number, waveform: Uint8Array): Int8Array;
    disableLog(): void;
    rxToggleProtocol(protocol: unknown, state: number): void;
    SampleFormat: Record<string, unknown>;
    ProtocolId: Record<string, unknown>;
  }
  const factory: (options: { print: (line: string) => void; printErr: (line: string) => void }) => Promise<Ggwave>;
  export default factory;
}
