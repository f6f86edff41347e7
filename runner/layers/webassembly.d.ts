/** As much of WebAssembly's types as engine.ts needs: the full ones come with TypeScript's "dom", which has no place here. */
declare namespace WebAssembly {
  /** On threads of its own. */
  function compile(bytes: Uint8Array): Promise<Module>;
  class Module {
    constructor(bytes: Uint8Array);
  }
  class Instance {
    constructor(module: Module, imports: object);
    readonly exports: object;
  }
  class Memory {
    constructor(size: { initial: number; maximum: number; shared: boolean });
    readonly buffer: ArrayBuffer;
  }
}
