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
   * bytes behind a message are overwritten. No hash may go into a message of the same call.
   */
  hash(count: number, starts: Int32Array, lengths: Int32Array, outs: Int32Array): void;
}

/** SHA-256 as trees want it. */
export interface TreeHashes {
  readonly one: HashInto;
  /** With memory for so many bytes of messages and hashes; nobody else uses it during a step. */
  readonly many: (roomBytes: number) => HashMany;
}
