import type { Result } from "#replica/base/result.ts";
import { fail } from "#replica/base/result.ts";
import type { Sealed, Vault, VaultPurpose } from "./vault.ts";

/** Where a vault keeps its wrapped data keys and what unwraps them. */
export interface NodeVaultOptions {
  /** The table's file, made when absent: `keys/data-keys` of the data directory. */
  readonly file: string;
  /**
   * Content of the key-encryption file: 64 hex digits; more lines may hold former keys, and a
   * table that only one of them opens is rewrapped under the first.
   */
  readonly kek: string;
}

/** AES-256-GCM under fresh random data keys, wrapped by the key-encryption key in a small table. */
export class NodeVault implements Vault {
  /** Opens or makes the table, and makes this boot's keys durable. `reason` is a sentence. */
  static open(_options: NodeVaultOptions): Result<NodeVault> {
    return fail("not built yet");
  }

  seal(_purpose: VaultPurpose, _aad: Uint8Array, _plain: Uint8Array): Sealed {
    throw new Error("not built yet");
  }

  open(_sealed: Sealed, _aad: Uint8Array): Uint8Array | null {
    throw new Error("not built yet");
  }

  rotate(_keep: readonly number[], _done: (r: "ok" | "error") => void): void {
    throw new Error("not built yet");
  }

  /** Closes the table's file. */
  close(): void {
    throw new Error("not built yet");
  }
}
