import type { Checksum, Op } from "#replica/base/brands.ts";
import type { Prepare, PrepareHeader } from "./prepare.ts";
import type { SuperblockState } from "./superblock.ts";

/** Files of a data directory as a replica addresses them. A segment's id is 1-40 of [a-z0-9-]. */
export type Zone =
  | { readonly kind: "superblock" }
  | { readonly kind: "prepares" }
  | { readonly kind: "identifiers" }
  | { readonly kind: "segment"; readonly id: string };

/**
 * How a write may be carried out. `queued`: in the background. `now`: the disk may hold up the
 * caller for as long as the write takes, when its writes are quick; that saves two hand-overs
 * between threads, which on busy cores take longer than the write. Either way it completes later.
 */
export type WriteMode = "queued" | "now";

/**
 * Raw disk: the only thing that differs between production (files) and the simulator (faulty
 * memory).
 * Every completion comes later than the call, never inside it.
 */
export interface Disk {
  /** Durable when `done("ok")`. Offset and length are whole units for all zones but segments. */
  write(
    zone: Zone,
    offset: number,
    bytes: Uint8Array,
    done: (r: "ok" | "error") => void,
    mode?: WriteMode,
  ): void;
  /** Null = the device refused. Short files read as zeros. */
  read(zone: Zone, offset: number, length: number, done: (bytes: Uint8Array | null) => void): void;
  /** Creates an empty file of that size (zero-filled, durable, directory too). */
  create(zone: Zone, bytes: number, done: (r: "ok" | "error") => void): void;
  /** Unlinks; durable when done. */
  remove(zone: Zone, done: (r: "ok" | "error") => void): void;
  /** Ids of the segments that exist. */
  listSegments(done: (ids: readonly string[] | null) => void): void;
}

/** What the scan of the WAL found in one slot. */
export interface RecoveredSlot {
  readonly op: Op;
  /** clean: body readable. faulty: corrupt, header if its identifier survived. empty: may nack. */
  readonly state: "clean" | "faulty" | "empty";
  readonly header: PrepareHeader | null;
}

/** What a replica knows after its disk was opened, read and judged. */
export interface RecoveredState {
  readonly superblock: SuperblockState;
  /** One entry a slot of the ring that is not empty, in op order. */
  readonly slots: readonly RecoveredSlot[];
}

/**
 * A replica's durable storage above a {@link Disk}: WAL, superblock, segments; encrypts, stamps and
 * checks. Calls complete in any order, each exactly once, never inside the call. A write that
 * fails calls `poisoned` instead of its own completion, once, and the process stops.
 */
export interface Storage {
  /** Durable in the prepares ring when done; the identifier follows lazily. */
  writePrepare(prepare: Prepare, done: () => void, mode?: WriteMode): void;
  /** Null: absent, torn, corrupt or unreadable. */
  readPrepare(op: Op, checksum: Checksum, done: (prepare: Prepare | null) => void): void;
  /** One atomic write; writes are queued, the newest state wins over queued older ones. */
  writeSuperblock(state: SuperblockState, done: () => void): void;
  /** Writes one immutable segment of plaintext blocks (each ≤ 64 KiB). */
  writeSegment(id: string, blocks: readonly Uint8Array[], done: () => void): void;
  /** One plaintext block; null: absent or corrupt (repair it from a peer). */
  readBlock(id: string, block: number, done: (bytes: Uint8Array | null) => void): void;
  /** `count` blocks from `first` on, in one read where the disk can; null each: as readBlock. */
  readBlocks(
    id: string,
    first: number,
    count: number,
    done: (blocks: readonly (Uint8Array | null)[]) => void,
  ): void;
  /** Byte of the segment's file at which a block begins, for sentences; 0: its table is lost. */
  placeOfBlock(id: string, block: number, done: (offset: number) => void): void;
  /** Rewrites one damaged block with bytes whose digest the caller has checked. */
  repairBlock(id: string, block: number, bytes: Uint8Array, done: () => void): void;
  /** Ids of the segments that are completely on the disk; none when the device refuses. */
  listSegments(done: (ids: readonly string[]) => void): void;
  /** Removes segments that no manifest refers to. */
  removeSegments(ids: readonly string[], done: () => void): void;
}
