import type { BlockAddress } from "#replica/machine/port.ts";
import { sha256Bytes, sha256Into } from "#replica/crypto/hash.ts";
import { ChatMachine } from "#replica/machine/chat-machine.ts";
import type { MachineVersions } from "#replica/wire/peer-message.ts";
import type { Prepare } from "#replica/wire/prepare.ts";
import { lab } from "./formation.ts";
import type { Swarm } from "./swarm.ts";

/** The machine of a shard, which tells what it executes. */
export class WatchedMachine extends ChatMachine {
  /** Gets every op that was applied, with its replies. */
  executed: ((prepare: Prepare, replies: readonly Uint8Array[]) => void) | null = null;

  /** Is told what befell remembered keys. */
  count: ((what: string) => void) | null = null;

  override needs(prepare: Prepare): readonly BlockAddress[] {
    const addresses = super.needs(prepare);
    if (addresses.length > 0) this.count?.("original_loaded");
    return addresses;
  }

  override apply(prepare: Prepare, blocks: readonly Uint8Array[]): readonly Uint8Array[] {
    const { keyRunsCount, keysCount } = this;
    const replies = super.apply(prepare, blocks);
    if (this.keyRunsCount > keyRunsCount) this.count?.("keys_sealed");
    if (this.keyRunsCount < keyRunsCount) {
      this.count?.(this.keysCount < keysCount ? "keys_expired" : "keys_merged");
    }
    this.executed?.(prepare, replies);
    return replies;
  }
}

/** An empty machine for a process of a run; `count` is told what befalls remembered keys. */
export function watchedMachine(
  swarm: Swarm,
  versions: MachineVersions,
  count: (what: string) => void,
): WatchedMachine {
  const { cacheBytes, looseKeysMax, proofs } = swarm;
  const machine = new WatchedMachine(lab.genesis, {
    cacheBytes,
    looseKeysMax,
    chunkBytes: 32 * 1024,
    versions,
    hash: sha256Bytes,
    ...(proofs ? { proofs: sha256Into } : {}),
  });
  machine.count = count;
  return machine;
}
