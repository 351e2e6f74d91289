import { sha256Into } from "./hash.ts";
import { lanesModule, reservedBytes } from "./sha256-lanes-module.ts";

/** Bytes of a page of WebAssembly memory. */
const pageBytes = 65_536;
const lanes = 4;
const blockBytes = 64;

/** The part of the global that is used; the compiler knows it from browsers' types only. */
interface WebAssemblyApi {
  readonly Memory: new (limits: {
    initial: number;
    maximum: number;
  }) => {
    readonly buffer: ArrayBuffer;
  };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: { readonly env: object },
  ) => { readonly exports: Readonly<Record<string, unknown>> };
}

const { WebAssembly: wasm } = globalThis as unknown as { WebAssembly: WebAssemblyApi };

type Run = (
  ...messageBlocksHash: [
    ...[message0: number, blocks0: number, hash0: number],
    ...[message1: number, blocks1: number, hash1: number],
    ...[message2: number, blocks2: number, hash2: number],
    ...[message3: number, blocks3: number, hash3: number],
  ]
) => void;

/**
 * SHA-256 of many short messages, four at a time: half the time of native calls, most of which is
 * the call. Native for one that is left over. It is the HashMany of replica/proof.
 */
export class Sha256Lanes {
  readonly bytes: Uint8Array;
  /** Where messages may begin. */
  readonly start = reservedBytes;
  private readonly run: Run;

  /** `roomBytes`: memory for messages and hashes. */
  constructor(roomBytes: number) {
    const initial = Math.ceil((reservedBytes + roomBytes) / pageBytes);
    const memory = new wasm.Memory({ initial, maximum: initial });
    const module = new wasm.Module(lanesModule());
    const { exports } = new wasm.Instance(module, { env: { memory } });
    this.run = exports["hash"] as Run;
    this.bytes = new Uint8Array(memory.buffer);
  }

  /** See HashMany of replica/proof/hash-many.ts. */
  hash(count: number, starts: Int32Array, lengths: Int32Array, outs: Int32Array): void {
    let a = 0;
    for (; count - a > 1; a += lanes) {
      // Lanes without a message repeat the last one.
      const b = a + 1;
      const c = a + 2 < count ? a + 2 : b;
      const d = a + 3 < count ? a + 3 : b;
      const blocksA = this.pad(starts[a] ?? 0, lengths[a] ?? 0);
      const blocksB = this.pad(starts[b] ?? 0, lengths[b] ?? 0);
      const blocksC = c === b ? blocksB : this.pad(starts[c] ?? 0, lengths[c] ?? 0);
      const blocksD = d === b ? blocksB : this.pad(starts[d] ?? 0, lengths[d] ?? 0);
      this.run(
        starts[a] ?? 0,
        blocksA,
        outs[a] ?? 0,
        starts[b] ?? 0,
        blocksB,
        outs[b] ?? 0,
        starts[c] ?? 0,
        blocksC,
        outs[c] ?? 0,
        starts[d] ?? 0,
        blocksD,
        outs[d] ?? 0,
      );
    }
    if (a >= count) return;
    const start = starts[a] ?? 0;
    const message = this.bytes.subarray(start, start + (lengths[a] ?? 0));
    sha256Into(message, this.bytes, outs[a] ?? 0);
  }

  /** See HashMany of replica/proof/hash-many.ts. */
  hashPadded(count: number, starts: Int32Array, blocks: number, outs: Int32Array): void {
    for (let a = 0; a < count; a += lanes) {
      const b = a + 1 < count ? a + 1 : a;
      const c = a + 2 < count ? a + 2 : b;
      const d = a + 3 < count ? a + 3 : b;
      this.run(
        starts[a] ?? 0,
        blocks,
        outs[a] ?? 0,
        starts[b] ?? 0,
        blocks,
        outs[b] ?? 0,
        starts[c] ?? 0,
        blocks,
        outs[c] ?? 0,
        starts[d] ?? 0,
        blocks,
        outs[d] ?? 0,
      );
    }
  }

  /** Padding behind a message (FIPS 180-4 section 5.1.1); how many blocks it has with it. */
  pad(start: number, length: number): number {
    const { bytes } = this;
    const blocks = (length + 8 + blockBytes) >>> 6;
    const end = start + blocks * blockBytes;
    bytes[start + length] = 0x80;
    for (let at = start + length + 1; at < end - 4; at += 1) bytes[at] = 0;
    const bits = length * 8;
    bytes[end - 4] = bits >>> 24;
    bytes[end - 3] = bits >>> 16;
    bytes[end - 2] = bits >>> 8;
    bytes[end - 1] = bits;
    return blocks;
  }
}

let shared: Sha256Lanes | null = null;

/** SHA-256 for the trees of proofs. All ledgers of a process share one memory, turn by turn. */
export const treeHashes = {
  one: sha256Into,
  many(roomBytes: number): Sha256Lanes {
    if (shared === null || shared.bytes.length < shared.start + roomBytes) {
      shared = new Sha256Lanes(roomBytes);
    }
    return shared;
  },
} as const;
