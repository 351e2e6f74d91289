import type { HashInto } from "#replica/proof/hash-many.ts";
import type { Seq } from "#replica/base/brands.ts";
import type { RoomAnswer, RoomName } from "#replica/wire/client-message.ts";

/** Place of one plaintext block of state on disk. */
export interface BlockAddress {
  readonly segment: string;
  readonly block: number;
}

/** What a shard's machine is made of at genesis; from then on it is state, not configuration. */
export interface MachineGenesis {
  /** Slots that this shard owns. */
  readonly slots: { readonly first: number; readonly count: number; readonly epoch: number };
  /** Remembered keys: how long by log time (hours), and how many at most. */
  readonly keys: { readonly windowHours: number; readonly max: number };
  /** Rooms at most. */
  readonly roomsMax: number;
  /**
   * 16 bytes that clients cannot guess, equal on the three replicas (the first half of the
   * formation id): keys the hashes of the index against floods.
   */
  readonly seed: Uint8Array;
  /** Version of the machine that the shard begins with; default: the oldest of this build. */
  readonly version?: number;
}

/** Options of one process; no answer of the machine depends on them. */
export interface MachineOptions {
  /** Bytes of entries kept in memory after they are safe on disk, at least; default 64 MiB. */
  readonly cacheBytes?: number;
  /** Bytes of one chunk of that memory, a power of two from 32 KiB; default 1 MiB. */
  readonly chunkBytes?: number;
  /** Remembered keys that are held loosely, 31 bytes each, before runs are made; default 2^20. */
  readonly looseKeysMax?: number;
  /** Versions that this process can apply; default: all that the build knows. For tests. */
  readonly versions?: { readonly min: number; readonly max: number };
  /** SHA-256 for the trees of proofs; without it the machine keeps none (tests, simulators). */
  readonly proofs?: HashInto;
  /** SHA-256: what reads show in the place of a redacted body; zeros when absent. */
  readonly hash?: (bytes: Uint8Array) => Uint8Array;
}

/** Entries of one room committed since the last drain. */
export interface RoomFact {
  readonly name: RoomName;
  /** Seq of the first one. */
  readonly seqFirst: Seq;
  readonly count: number;
  /** Encoded entries (replica/wire/entry.ts), ascending, each behind its u32 length. */
  readonly entries: Uint8Array;
}

/** A read is answered at once, or after these blocks were loaded. */
export type ReadStep =
  | { readonly kind: "answer"; readonly answer: RoomAnswer; readonly entries: Uint8Array }
  | { readonly kind: "load"; readonly addresses: readonly BlockAddress[] };

/** A block that the host has loaded and decrypted. */
export interface LoadedBlock {
  readonly address: BlockAddress;
  readonly bytes: Uint8Array;
}

/** What changed between two checkpoints (FrozenDelta of replica/snapshot, structurally). */
export interface FrozenDelta {
  readonly op: number;
  readonly state: Uint8Array;
  readonly keyFloorMs: number;
  /** Place among the checkpoints of a sweep; -1 before version 2. */
  readonly sweepPhase: number;
  fill(section: "history" | "rooms" | "keys", block: Uint8Array): number;
}

/** Index of a durable segment (HistorySegment of replica/snapshot, structurally). */
export interface HistorySegment {
  readonly id: string;
  /** Block that holds an entry, or -1 when this segment does not. */
  locate(room: number, seq: number): number;
}
