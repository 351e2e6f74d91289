import { assert } from "#replica/base/assert.ts";
import { treeHashBytes } from "#replica/proof/merkle.ts";
import type { HashInto } from "#replica/proof/hash-many.ts";
import { Peaks, recordSize, setRecordLogIndex, tileLeaves } from "#replica/proof/peaks.ts";
import type { HistoryBlockWriter } from "#replica/wire/history-block.ts";
import { BigTiles } from "./big-tiles.ts";
import type { MachineTables } from "./machine-tables.ts";
import type { BlockAddress, LoadedBlock } from "./port.ts";
import {
  frontierTape,
  logLevels,
  logRoom,
  RoomCounts,
  TapeDelta,
  tapesStart,
  tilesStart,
} from "./proof-tapes.ts";
import { BlockFinder, locateOnDisk } from "./room-reader.ts";
import { SplitMap } from "./split-map.ts";
import { roomCost } from "./tree-hasher.ts";
import type { TreeJob, TreeResult, TreeResultRoom } from "./tree-job.ts";
import { TreeJobWriter, TreeResultReader } from "./tree-job.ts";

/** Head of the shard's log. */
export interface LedgerHead {
  /** Leaves. */
  readonly size: number;
  /** 32 bytes. */
  readonly root: Uint8Array;
}

/** Rooms that changed in one second of log time, to be hashed in the background. */
interface Batch {
  readonly rooms: readonly number[];
  /** Entries of each room at the end of the batch. */
  readonly sizes: Float64Array;
  /** Where its entries begin in the store. */
  readonly start: number;
  /** Op of the checkpoint that it ends with, or 0. */
  readonly op: number;
  /** True when the log's head behind it is to be signed. */
  readonly sign: boolean;
  /** Next room. */
  at: number;
}

/** What {@link Ledger.step} wants next. */
export type LedgerStep =
  | { readonly kind: "idle" }
  /** Load these blocks, then call {@link Ledger.loaded}. */
  | { readonly kind: "load"; readonly addresses: readonly BlockAddress[] }
  /** Do this job (TreeHasher), then call {@link Ledger.hashed}. */
  | { readonly kind: "hash"; readonly job: TreeJob };

/** Frontiers kept in memory beyond those that no segment has yet. */
const frontiersMax = 1 << 18;
/** Heads that wait to be signed at most; older ones are forgotten. */
const headsMax = 8;
/** Rooms of a job at most, and blocks that are loaded for it. */
const jobRoomsMax = 128;
const secondUs = 1_000_000;

/**
 * The trees of the rooms and the shard's log (design: "Audit"). Apply only notes which rooms
 * changed; at the first op of a new second, and at each checkpoint, the batch is closed, and
 * {@link step} has it hashed later, off the commit path: where and when is its caller's business.
 * What comes of it follows from the log alone.
 */
export class Ledger {
  private readonly tables: MachineTables;
  private readonly hash: HashInto;
  private dirty = new Set<number>();
  /** Entries since the last batch was closed. */
  private touched = 0;
  private waitingEntries = 0;
  private second = 0;
  private start = 0;
  /** True when leaves stand behind the head that was last given for signing. */
  private unsigned = false;
  private readonly batches: Batch[] = [];
  /** Deltas that are not installed, the open one last. */
  private deltas: TapeDelta[] = [new TapeDelta()];
  private frontiers = new SplitMap<Uint8Array>();
  private counts = new RoomCounts();
  private log: Peaks;
  private logReady = true;
  /** Blocks with frontiers of the rooms that come next. */
  private blocks: readonly LoadedBlock[] = [];
  /** Sizes before, of the rooms of the job under way; null = none is. */
  private planned: readonly number[] | null = null;
  /** Frontier of the batch's next room, of which a job hashed a part; null = of none. */
  private partial: Uint8Array | null = null;
  private heads: LedgerHead[] = [];
  /** What proofs have made of the tiles of large rooms. */
  readonly bigTiles = new BigTiles();
  /** Head as of the last batch that was given for signing. */
  private headLast: LedgerHead | null = null;

  constructor(tables: MachineTables, hash: HashInto) {
    this.tables = tables;
    this.hash = hash;
    this.log = new Peaks(hash);
  }

  /** An entry was added to a room. */
  touch(room: number): void {
    this.dirty.add(room);
    this.touched += 1;
  }

  /** Entries from this address on must stay in memory. */
  get addressFloor(): number {
    return this.batches[0]?.start ?? this.start;
  }

  /** True while {@link step} has something to do. */
  get workWanted(): boolean {
    return this.batches.length > 0;
  }

  /** Entries that {@link step} has still to hash, about. */
  get backlog(): number {
    return this.waitingEntries;
  }

  /** True while entries wait for the end of their second. */
  get waiting(): boolean {
    return this.dirty.size > 0 || this.unsigned;
  }

  /** Head that was last given for signing. */
  get head(): LedgerHead | null {
    return this.headLast;
  }

  /** Heads to sign since the last call, oldest first. */
  drainHeads(): readonly LedgerHead[] {
    const { heads } = this;
    this.heads = [];
    return heads;
  }

  /** An op was applied; the first of a new second closes what came up to it. */
  applied(timeUs: number): void {
    const second = Math.floor(timeUs / secondUs);
    if (second === this.second) return;
    this.second = second;
    if (this.dirty.size > 0 || this.unsigned) this.close(0, true);
  }

  /** The machine is frozen at a checkpoint's op: the batch ends here. */
  freeze(op: number): void {
    this.close(op, false);
  }

  private close(op: number, sign: boolean): void {
    const { rooms: table, store } = this.tables;
    const rooms = [...this.dirty];
    const sizes = Float64Array.from(rooms, (room) => table.page(room).head[table.at(room)] ?? 0);
    this.batches.push({ rooms, sizes, start: this.start, op, sign, at: 0 });
    this.dirty = new Set();
    this.waitingEntries += this.touched;
    this.touched = 0;
    this.start = store.end;
    this.unsigned = sign ? false : this.unsigned || rooms.length > 0;
  }

  /** The delta of a checkpoint, complete. */
  delta(op: number): TapeDelta {
    const delta = this.deltas.find((one) => one.op === op);
    assert(delta !== undefined, "MCH-21: trees are hashed before their checkpoint is written");
    return delta;
  }

  /** Appends what the checkpoint of `op` adds to the tapes; false when some are left. */
  fill(op: number, writer: HistoryBlockWriter): boolean {
    return this.delta(op).fill(writer);
  }

  /** The checkpoint is installed: its tapes are read from disk from now on. */
  release(op: number): void {
    const first = this.deltas.shift();
    assert(first !== undefined && first.op === op, "MCH-21: deltas are released in order");
  }

  /** True for a room whose frontier a segment has. */
  private readonly isOnDisk = (room: number): boolean =>
    !this.deltas.some((delta) => delta.frontierSeq(room) > 0);

  /** What is to be done next, for about this many entries, oldest batch first. */
  step(entriesMax: number): LedgerStep {
    assert(this.planned === null, "MCH-21: one job at a time");
    for (;;) {
      const [batch] = this.batches;
      if (batch === undefined) return { kind: "idle" };
      if (!this.logReady) {
        const address = this.openLog();
        if (address !== null) return { kind: "load", addresses: [address] };
      }
      if (batch.at < batch.rooms.length) return this.plan(batch, entriesMax);
      this.finish(batch);
    }
  }

  /** The blocks of a `load` step. */
  loaded(blocks: readonly LoadedBlock[]): void {
    this.blocks = blocks;
  }

  private plan(batch: Batch, entriesMax: number): LedgerStep {
    const { rooms, store, state } = this.tables;
    const writer = new TreeJobWriter();
    const planned: number[] = [];
    const missing: BlockAddress[] = [];
    const end = Math.min(batch.rooms.length, batch.at + jobRoomsMax);
    let left = entriesMax;
    for (let at = batch.at; at < end && left > 0; at += 1) {
      const room = batch.rooms[at] ?? 0;
      const partial = at === batch.at ? this.partial : null;
      const frontier = partial ?? this.frontierOf(room, this.blocks) ?? noFrontier;
      if (!(frontier instanceof Uint8Array)) {
        note(missing, frontier);
        continue;
      }
      const before = frontier.length === 0 ? 0 : recordSize(frontier);
      const size = Math.min(batch.sizes[at] ?? 0, before + left);
      const newest = rooms.page(room).newest[rooms.at(room)] ?? -1;
      writer.add({ names: rooms.nameRecord(room), frontier, size, newest });
      planned.push(before);
      left -= size - before + roomCost;
    }
    if (missing.length > 0) return { kind: "load", addresses: missing };
    this.blocks = [];
    this.planned = planned;
    return { kind: "hash", job: writer.end(state.seed, store.share(batch.start)) };
  }

  /** The result of a `hash` step; not after {@link reset}. */
  hashed(result: TreeResult): void {
    const { planned } = this;
    const [batch] = this.batches;
    assert(planned !== null && batch !== undefined, "MCH-21: a job is under way");
    this.planned = null;
    this.partial = null;
    const reader = new TreeResultReader(result);
    for (const before of planned) {
      const made = reader.next();
      assert(made !== null && this.partial === null, "MCH-21: rooms of a job end in order");
      this.grew(batch, before, made);
    }
    assert(reader.next() === null, "MCH-21: as many rooms as the job had");
  }

  private grew(batch: Batch, before: number, { frontier, leaf, tiles }: TreeResultRoom): void {
    const room = batch.rooms[batch.at] ?? 0;
    const size = recordSize(frontier);
    const first = Math.floor(before / tileLeaves) + 1;
    for (let at = 0; at < tiles.length; at += treeHashBytes) {
      const tile = tiles.slice(at, at + treeHashBytes);
      this.open().appendTile(room, first + at / treeHashBytes, tile);
    }
    this.waitingEntries -= size - before;
    if (size < (batch.sizes[batch.at] ?? 0)) {
      this.partial = frontier;
      return;
    }
    this.closeRoom(room, leaf, frontier);
    batch.at += 1;
  }

  /** The newest frontier of a room; null = none; or the block that has it. */
  frontierOf(room: number, loaded: readonly LoadedBlock[]): Uint8Array | null | BlockAddress {
    const known = this.frontiers.get(room);
    if (known !== undefined) return known;
    const count = this.counts.get(room);
    return count === 0 ? null : this.item(frontierTape(room), count, loaded);
  }

  /** An item of a tape that is known to have it, or the block that holds it. */
  item(
    tape: number,
    seq: number,
    loaded: readonly LoadedBlock[],
    finder: BlockFinder = new BlockFinder(),
  ): Uint8Array | BlockAddress {
    for (let i = this.deltas.length - 1; i >= 0; i -= 1) {
      const item = this.deltas[i]?.find(tape, seq) ?? null;
      if (item !== null) return item;
    }
    const address = locateOnDisk(this.tables.history, tape, seq);
    assert(address !== null, "MCH-20: an item of a tape is in memory or in a segment");
    const block = loaded.find(
      ({ address: { segment, block: number } }) =>
        segment === address.segment && number === address.block,
    );
    if (block === undefined) return address;
    const place = finder.find(block.bytes, tape, seq);
    assert(place !== null, "MCH-20: a located item is in its block");
    return place.bytes.slice(place.at, place.at + place.length);
  }

  private openLog(): BlockAddress | null {
    const record = this.frontierOf(logRoom, this.blocks);
    if (record !== null && !(record instanceof Uint8Array)) return record;
    if (record !== null) this.log.load(record);
    this.blocks = [];
    this.logReady = true;
    return null;
  }

  private open(): TapeDelta {
    const delta = this.deltas.at(-1);
    assert(delta !== undefined && delta.op === 0, "MCH-21: one delta is open");
    return delta;
  }

  private closeRoom(room: number, leaf: Uint8Array, frontier: Uint8Array): void {
    const logIndex = this.log.size;
    this.open().appendLog(0, logIndex + 1, leaf);
    this.log.append(leaf, 0, (level, number, tile, at) => {
      assert(level < logLevels, "MCH-20: level of a tile");
      this.open().appendLog(level, number + 1, tile.slice(at, at + treeHashBytes));
    });
    setRecordLogIndex(frontier, logIndex);
    this.keepFrontier(room, frontier);
  }

  private keepFrontier(room: number, record: Uint8Array): void {
    const delta = this.open();
    const before = delta.frontierSeq(room);
    // One frontier a checkpoint: a later one takes the place of an earlier.
    const seq = before > 0 ? before : this.counts.get(room) + 1;
    delta.setFrontier(room, seq, record);
    this.counts.set(room, seq);
    this.frontiers.setNewest(room, record);
    // Two go for one that comes: what a checkpoint holds fast for a while goes behind it.
    for (let i = 0; i < 2 && this.frontiers.size > frontiersMax; i += 1) {
      this.frontiers.letGo(room, this.isOnDisk);
    }
  }

  private finish(batch: Batch): void {
    this.batches.shift();
    if (this.batches.length === 0) this.waitingEntries = 0;
    if (batch.rooms.length > 0) this.keepFrontier(logRoom, this.log.encode(0));
    if (batch.op > 0) {
      this.open().op = batch.op;
      this.deltas.push(new TapeDelta());
    }
    if (!batch.sign || this.log.size === 0) return;
    const root = new Uint8Array(treeHashBytes);
    this.log.root(root, 0);
    this.headLast = { size: this.log.size, root };
    this.heads.push(this.headLast);
    if (this.heads.length > headsMax) this.heads.shift();
  }

  /** Forgets everything: a checkpoint of this log time is about to be restored. */
  reset(): void {
    this.dirty = new Set();
    this.touched = 0;
    this.waitingEntries = 0;
    this.batches.length = 0;
    this.deltas = [new TapeDelta()];
    this.frontiers = new SplitMap();
    this.counts = new RoomCounts();
    this.log = new Peaks(this.hash);
    this.logReady = false;
    this.blocks = [];
    this.planned = null;
    this.partial = null;
    this.heads = [];
    this.bigTiles.clear();
    this.headLast = null;
    this.start = this.tables.store.end;
  }

  /** Items of a tape are on disk. */
  restoreRun(tape: number, seqFirst: number, count: number): void {
    // Frontiers only: how long the other tapes are follows from the sizes.
    if (tape >= tilesStart) return;
    const room = tape - tapesStart;
    assert(seqFirst === this.counts.get(room) + 1, "MCH-20: a tape has no holes");
    this.counts.set(room, seqFirst + count - 1);
  }

  /** The checkpoint is restored: it was the end of a batch of this log time. */
  restored(timeUs: number): void {
    this.second = Math.floor(timeUs / secondUs);
    this.start = this.tables.store.end;
    this.unsigned = this.counts.get(logRoom) > 0;
  }
}

const noFrontier = new Uint8Array(0);

function note(addresses: BlockAddress[], address: BlockAddress): void {
  const { segment, block } = address;
  if (addresses.some((one) => one.segment === segment && one.block === block)) return;
  addresses.push(address);
}
