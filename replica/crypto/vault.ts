/** Which of a replica's data keys a ciphertext uses: each purpose has its own, fresh at boot. */
export type VaultPurpose = "wal" | "segment";

/** One ciphertext with what must stand beside it to open it again. */
export interface Sealed {
  /** Number of the data key, from 1; a later key has a higher number. */
  readonly keyId: number;
  /** Nonce under that key: 1, 2, 3 ... in memory only. A safe integer. */
  readonly counter: number;
  /** 16 bytes. */
  readonly tag: Uint8Array;
  /** As long as the plaintext. */
  readonly cipher: Uint8Array;
}

/**
 * Encryption at rest as storage sees it: synchronous, AES-256-GCM in production, a fake in the
 * simulator. (keyId, counter) is used for one plaintext only, for ever, whatever happens to the
 * volume; it also serves as the write id of a WAL slot, so later seals compare higher.
 */
export interface Vault {
  /** Encrypts under the current key of that purpose with the next nonce. */
  seal(purpose: VaultPurpose, aad: Uint8Array, plain: Uint8Array): Sealed;
  /** Null: other key, other aad, or damaged bytes. */
  open(sealed: Sealed, aad: Uint8Array): Uint8Array | null;
  /**
   * Makes a fresh WAL key and uses it from when its wrapped form is durable; `keep`: older WAL keys
   * that slots still need, the rest is forgotten. "error": the volume is poisoned.
   */
  rotate(keep: readonly number[], done: (r: "ok" | "error") => void): void;
}
