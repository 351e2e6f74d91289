import type { ReplicaIndex } from "#replica/base/brands.ts";
import type { RecoveredState } from "#replica/wire/storage-port.ts";
import type { ReplicaStorage } from "./replica-storage.ts";
import type { Refusal, StorageTools } from "./storage-tools.ts";

/** What must be found on the volume: anything else is the wrong volume. */
export interface OpenOptions extends StorageTools {
  readonly cluster: string;
  readonly shard: string;
  readonly replica: ReplicaIndex;
}

/** An opened volume, read and judged. */
export interface Opened {
  readonly ok: true;
  readonly storage: ReplicaStorage;
  readonly recovered: RecoveredState;
}

/**
 * Opens a formatted volume: superblock, scan of both rings, decision table, live slots rewritten
 * byte-identically. Changes nothing when it refuses. `done` is called once, later.
 */
export function openStorage(_options: OpenOptions, _done: (r: Opened | Refusal) => void): void {
  throw new Error("not built yet");
}
