declare module '@echogarden/fvad-wasm' {
  /** The compiled module. Frames are 10, 20 or 30 ms of 16-bit samples that lie in its memory. */
  export interface FvadModule {
    readonly HEAP16: Int16Array;
    _malloc(bytes: number): number;
    _free(pointer: number): void;
    /** 0 when there is no memory left. */
    _fvad_new(): number;
    _fvad_free(handle: number): void;
    _fvad_reset(handle: number): void;
    _fvad_set_mode(handle: number, mode: number): number;
    _fvad_set_sample_rate(handle: number, rate: number): number;
    /** 1 is voice, 0 is none, -1 is a frame of the wrong length. */
    _fvad_process(handle: number, pointer: number, samples: number): number;
  }
  const load: () => Promise<FvadModule>;
  export default load;
}
