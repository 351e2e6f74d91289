import type { RoomAnswer, RoomName, ReadRange } from "#replica/wire/client-message.ts";
import type { Op } from "#replica/base/brands.ts";
import type { Prepare } from "#replica/wire/prepare.ts";
import type {
  BlockAddress,
  LoadedBlock,
  MachineGenesis,
  MachineOptions,
  ReadStep,
  RoomFact,
} from "./port.ts";

/** What changed between two checkpoints (replica/snapshot/port.ts FrozenDelta). */
export interface FrozenDelta {
  readonly op: number;
  readonly state: Uint8Array;
  readonly keyFloorMs: number;
  fill(section: "history" | "rooms" | "keys", block: Uint8Array): number;
}

/** Index of a durable segment (replica/snapshot/port.ts HistorySegment). */
export interface HistorySegment {
  readonly id: string;
  locate(room: number, seq: number): number;
}

/** Rooms, their entries and their keys: the deterministic machine of a shard. */
export declare class ChatMachine {
  /** Highest version that this build applies. */
  readonly version: number;
  /** Op applied last; 0 after genesis. */
  readonly op: number;
  /** Counts for metrics. */
  readonly roomsCount: number;
  readonly keysCount: number;
  readonly memoryBytes: number;

  constructor(genesis: MachineGenesis, options?: MachineOptions);

  /** Encoded scalars of a machine at genesis: `genesisManifest(state)` makes checkpoint 0 of it. */
  static genesisState(genesis: MachineGenesis): Uint8Array;

  /** Blocks that {@link apply} of this prepare will read: originals of retried keys. Usually none. */
  needs(prepare: Prepare): readonly BlockAddress[];
  /** Applies; one reply a request in order (24 bytes a result; registrations: empty). */
  apply(prepare: Prepare, blocks: readonly Uint8Array[]): readonly Uint8Array[];
  /** Right after apply of a checkpoint op. At most 3 deltas may be frozen and not yet released. */
  freeze(op: Op): void;

  /** The delta frozen at `op`; hand it to CheckpointWriter.begin. */
  frozen(op: Op): FrozenDelta;
  /**
   * The checkpoint of `op` is durable: its delta may leave memory, reads use these segments
   * (CheckpointWriter.installed gives them).
   */
  release(op: Op, history: readonly HistorySegment[]): void;

  /** Entries of *watched* rooms committed since the last drain, grouped by room. */
  drainFacts(): readonly RoomFact[];
  /** From now on facts of this room are drained; idempotent; works before the room exists. */
  watch(name: RoomName): RoomAnswer;
  /** Ends {@link watch}. */
  unwatch(name: RoomName): void;
  /** Head, floor and epoch of a room. */
  room(name: RoomName): RoomAnswer;
  /**
   * Committed entries of a room: at most the range's limit, readEntriesMax and 192 KiB, at least one
   * if there is one. On `load`: load the addresses and call again with the blocks (all loaded so
   * far for this read); it may ask again, at most a few times.
   */
  read(name: RoomName, range: ReadRange, loaded?: readonly LoadedBlock[]): ReadStep;

  /** RestoreSink of replica/snapshot: the Restorer calls these. */
  restoreBegin(op: number, state: Uint8Array): void;
  restoreRooms(block: Uint8Array): void;
  restoreRun(room: number, seqFirst: number, count: number): void;
  restoreKeys(block: Uint8Array): void;
  restoreEnd(history: readonly HistorySegment[]): void;
}
