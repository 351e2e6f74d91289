/** SHA-256 of `bytes`, written to 32 bytes of `into` from `at` on: no object a hash. */
export type HashInto = (bytes: Uint8Array, into: Uint8Array, at: number) => void;

/** Many SHA-256 in one call: messages and hashes lie in memory of the one who hashes. */
export interface HashMany {
  /** That memory. */
  readonly bytes: Uint8Array;
  /** Where messages may begin. */
  readonly start: number;
  /**
   * Hashes message i, of `lengths[i]` bytes at `starts[i]`, to 32 bytes at `outs[i]`. The up to 72
   * bytes behind a message are overwritten. A hash may go into its own message, but into no other
   * of the same call.
   */
  hash(count: number, starts: Int32Array, lengths: Int32Array, outs: Int32Array): void;
  /** Writes the padding behind a message and says how many blocks of 64 bytes both are. */
  pad(start: number, length: number): number;
  /** As {@link hash}, of messages that all have `blocks` blocks and their padding. */
  hashPadded(count: number, starts: Int32Array, blocks: number, outs: Int32Array): void;
}

/** SHA-256 as trees want it. */
export interface TreeHashes {
  readonly one: HashInto;
  /** With memory for so many bytes of messages and hashes; nobody else uses it during a step. */
  readonly many: (roomBytes: number) => HashMany;
}
