import { assert } from "#replica/base/assert.ts";
import { seqFrom } from "#replica/base/brands.ts";
import type { Op } from "#replica/base/brands.ts";
import { mutated } from "#replica/base/mutation.ts";
import { slotOfRoom } from "#replica/base/slots.ts";
import type { ReadRange, RoomAnswer, RoomName } from "#replica/wire/client-message.ts";
import type { Prepare } from "#replica/wire/prepare.ts";
import type { HashInto } from "#replica/proof/hash-many.ts";
import { Applier } from "./applier.ts";
import { Delta } from "./delta.ts";
import { Ledger } from "./ledger.ts";
import {
  decodeMachineState,
  encodeMachineState,
  machineStateAtGenesis,
  machineVersions,
  stateRefusal,
} from "./machine-state.ts";
import { MachineTables } from "./machine-tables.ts";
import type {
  BlockAddress,
  FrozenDelta,
  HistorySegment,
  LoadedBlock,
  MachineGenesis,
  MachineOptions,
  ReadStep,
  RoomFact,
} from "./port.ts";
import { Redactions } from "./redactions.ts";
import { Prover } from "./prover.ts";
import type { RetentionView } from "./retention.ts";
import { retentionOf, retentionVersion } from "./retention.ts";
import { Sweeper } from "./sweeper.ts";
import { gather, joinPlaces, rangeOf } from "./room-reader.ts";
import { generationMs } from "./key-table.ts";
import type { Standing } from "./standing.ts";
import { standingOf } from "./standing.ts";

declare const MUTATIONS: boolean | undefined;

/** Frozen deltas that wait for their checkpoint at most. */
export const deltasMax = 3;
const cacheBytesDefault = 64 * 1024 * 1024;
const nothing = new Uint8Array(0);

/** Rooms, their entries and their keys: the deterministic machine of a shard. */
export class ChatMachine {
  /** Versions that this process can apply. */
  readonly versions: { readonly min: number; readonly max: number };
  private readonly cacheBytes: number;
  private readonly tables: MachineTables;
  private readonly applier: Applier;
  private readonly redactions: Redactions;
  /** What a sweep of old segments leaves of their entries. */
  readonly sweeper: Sweeper;
  private readonly proofs: HashInto | null;
  private opApplied = 0;
  /** Highest op that {@link needs} was asked for: nothing may leave memory before it is applied. */
  private opNeeded = 0;
  private releasable = 0;
  private deltas: Delta[] = [];
  /** True between restoreBegin and restoreEnd: no answers. */
  private restoring = false;

  constructor(genesis: MachineGenesis, options: MachineOptions = {}) {
    this.versions = options.versions ?? machineVersions;
    this.cacheBytes = options.cacheBytes ?? cacheBytesDefault;
    this.tables = new MachineTables(machineStateAtGenesis(genesis), options);
    this.applier = new Applier(this.tables);
    const { proofs } = options;
    if (proofs !== undefined) this.tables.ledger = new Ledger(this.tables, proofs);
    this.proofs = proofs ?? null;
    const hash = options.hash ?? (() => new Uint8Array(32));
    this.redactions = new Redactions(this.tables, hash);
    this.sweeper = new Sweeper(this.tables, hash, this.proofs);
  }

  /** Encoded scalars of a machine at genesis: `genesisManifest(state)` makes checkpoint 0 of it. */
  static genesisState(genesis: MachineGenesis): Uint8Array {
    return encodeMachineState(machineStateAtGenesis(genesis));
  }

  /** Version that applies the next op. */
  get version(): number {
    return this.tables.state.version;
  }

  /** From the next op on a later version applies (rule A12). */
  upgrade(version: number): void {
    const { state } = this.tables;
    const known = version > state.version && version <= this.versions.max;
    assert(known, "MCH-17: a later version that this build knows");
    state.version = version;
  }

  /** Why this build cannot go on from the state of a checkpoint, as a sentence; null = it can. */
  restoreRefusal(state: Uint8Array): string | null {
    return stateRefusal(state, this.versions);
  }

  /** Op applied last; 0 after genesis. */
  get op(): number {
    return this.opApplied;
  }

  /** Rooms that exist. */
  get roomsCount(): number {
    return this.tables.rooms.count;
  }

  /** Keys remembered. */
  get keysCount(): number {
    return this.tables.keys.count;
  }

  /** Runs in which remembered keys are held; the rest is held loosely. */
  get keyRunsCount(): number {
    return this.tables.keys.runsCount;
  }

  /** Entries ever committed. */
  get entriesCount(): number {
    return this.tables.state.entriesCount;
  }

  /** Rooms watched at this replica. */
  get watchedCount(): number {
    return this.tables.watches.count;
  }

  /** Approximate bytes of memory held. */
  get memoryBytes(): number {
    const { rooms, keys, store, cells } = this.tables;
    return rooms.memoryBytes + keys.memoryBytes + store.memoryBytes + cells.memoryBytes;
  }

  /** Approximate bytes of memory that remembered keys take. */
  get keysMemoryBytes(): number {
    return this.tables.keys.memoryBytes;
  }

  /** Blocks that {@link apply} of this prepare will read: originals of retried keys; rare. */
  needs(prepare: Prepare): readonly BlockAddress[] {
    assert(!this.restoring, "MCH-10: no commit during a restore");
    this.opNeeded = Math.max(this.opNeeded, prepare.header.op);
    return this.applier.needs(prepare, prepare.header.op === this.opApplied + 1);
  }

  /** Applies; one reply a request in order (24 bytes a result; registrations: empty). */
  apply(prepare: Prepare, blocks: readonly Uint8Array[]): readonly Uint8Array[] {
    const { header } = prepare;
    assert(!this.restoring, "MCH-10: no commit during a restore");
    assert(header.op === this.opApplied + 1, "MCH-01: ops are applied in order, without holes");
    const { state, keys } = this.tables;
    const { min, max } = this.versions;
    assert(header.machineVersion >= min, "MCH-02: a version that this build knows");
    assert(header.machineVersion <= max, "MCH-02: a version that this build knows");
    assert(header.timestampUs > state.timeUs, "MCH-03: log time strictly increases");
    state.timeUs = header.timestampUs;
    const soon = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("forget_keys_early");
    // The bug: forgets a key long before it would be refused, once in a while.
    const windowUs = soon && header.op % 16 === 0 ? -(2 ** 32) : state.keyWindowUs;
    keys.expire(Math.floor((state.timeUs - windowUs) / 1000));
    state.keyGenerationFloor = keys.generationFloor;
    const replies = header.kind === "requests" ? this.applier.apply(prepare, blocks) : [];
    keys.work();
    this.opApplied = header.op;
    this.tables.ledger?.applied(state.timeUs);
    if (this.opNeeded <= this.opApplied) this.releaseMemory();
    return replies;
  }

  /** Right after apply of a checkpoint op; at most {@link deltasMax} deltas wait for release. */
  freeze(op: Op): void {
    assert(op === this.opApplied, "MCH-08: freeze at the applied op");
    assert(this.deltas.length < deltasMax, "MCH-08: checkpoints wait");
    const { tables } = this;
    tables.state.roomsCount = tables.rooms.count;
    tables.ledger?.freeze(op);
    const sweepPhase = this.sweeper.freeze();
    const delta = new Delta({
      op,
      state: encodeMachineState(tables.state),
      keyFloorMs: tables.keys.generationFloor * generationMs,
      sweepPhase,
      store: tables.store,
      rooms: tables.rooms,
      dirty: tables.takeDirty(),
      cells: tables.cells,
      changes: tables.takeCellChanges(),
      start: tables.frozenEnd,
      end: tables.store.end,
      roomFirst: tables.frozenRooms,
      roomEnd: tables.rooms.count,
      ledger: tables.ledger,
      key0: tables.keyHash0,
      key1: tables.keyHash1,
    });
    tables.frozenEnd = delta.parts.end;
    tables.frozenRooms = delta.parts.roomEnd;
    this.deltas.push(delta);
  }

  /** The delta frozen at `op`; hand it to CheckpointWriter.begin. */
  frozen(op: Op): FrozenDelta {
    const delta = this.deltas.find((candidate) => candidate.op === op);
    assert(delta !== undefined, "MCH-08: a delta is frozen at this op");
    return delta;
  }

  /**
   * The checkpoint of `op` is durable and installed: its delta may leave memory, and reads use
   * these segments (`CheckpointWriter.installed(op).history`).
   */
  release(op: Op, history: readonly HistorySegment[]): void {
    const delta = this.deltas.shift();
    assert(delta !== undefined && delta.op === op, "MCH-08: deltas are released in order");
    this.tables.history = history;
    this.tables.ledger?.release(op);
    this.releasable = delta.parts.end;
    if (this.opNeeded <= this.opApplied) this.releaseMemory();
  }

  private releaseMemory(): void {
    const hashed = this.tables.ledger?.addressFloor ?? this.releasable;
    this.tables.store.release(Math.min(this.releasable, hashed), this.cacheBytes);
  }

  /** Entries of watched rooms committed since the last drain, by room, ≤ 192 KiB a fact. */
  drainFacts(): readonly RoomFact[] {
    const { watches, rooms, store } = this.tables;
    return watches.drain(rooms, store, (room, places) => this.redactions.show(room, places));
  }

  /** From now on facts of this room are drained; idempotent; works before the room exists. */
  watch(name: RoomName): RoomAnswer {
    const answer = this.room(name);
    if (answer.code === "moved") return answer;
    const room = this.restoring ? -1 : this.tables.find(name);
    this.tables.watches.add(name, room, answer.code === "ok" ? answer.head : 0);
    if (room >= 0) this.tables.setWatched(room, 1);
    return answer;
  }

  /** Ends {@link watch}. */
  unwatch(name: RoomName): void {
    const room = this.tables.watches.remove(name);
    if (room >= 0) this.tables.setWatched(room, 0);
  }

  /** Head, floor and epoch of a room. */
  room(name: RoomName): RoomAnswer {
    if (this.restoring) return { code: "not_ready" };
    const slot = slotOfRoom(name.tenant, name.room);
    const owned = this.tables.state.slotEpochs[slot] ?? 0;
    if (owned === 0) return { code: "moved", slot, shard: "", epoch: 0 };
    const room = this.tables.find(name);
    if (room < 0) return { code: "no_room" };
    const page = this.tables.rooms.page(room);
    const at = this.tables.rooms.at(room);
    return {
      code: "ok",
      epoch: page.epoch[at] ?? 0,
      head: seqFrom(page.head[at] ?? 0),
      floor: seqFrom(page.floor[at] ?? 0),
    };
  }

  /** What a user is in a room or thread now, and what of it the user sees; null = no such room. */
  standing(name: RoomName, user: string): Standing | null {
    const room = this.restoring ? -1 : this.tables.find(name);
    return room < 0 ? null : standingOf(this.tables, room, user);
  }

  /**
   * Committed entries of a room: at most the range's limit, readEntriesMax and 192 KiB, at least
   * one if there is one. On `load`: load the addresses and call again with all blocks loaded so far
   * for this read; it may ask again a few times. A block that cannot be found any more was merged
   * away meanwhile: start over without blocks.
   */
  read(name: RoomName, range: ReadRange, loaded: readonly LoadedBlock[] = []): ReadStep {
    const answer = this.room(name);
    if (answer.code !== "ok") return { kind: "answer", answer, entries: nothing };
    const { tables } = this;
    const room = tables.find(name);
    const newest = tables.rooms.page(room).newest[tables.rooms.at(room)] ?? -1;
    const { first, last } = rangeOf(range, answer.floor, answer.head);
    const source = { store: tables.store, history: tables.history, loaded };
    const found = gather(source, room, newest, first, last);
    if ("missing" in found) return { kind: "load", addresses: found.missing };
    const shown = this.redactions.show(room, found);
    const entries = joinPlaces(shown, range.kind === "after" ? "first" : "last");
    return { kind: "answer", answer, entries };
  }

  /**
   * Retention of a room by number, from 0; null when it has none, is held or has nothing to drop.
   * Undefined behind the last room, and before any retention was set.
   */
  retention(room: number): RetentionView | null | undefined {
    const { tables } = this;
    const any = tables.retains && tables.state.version >= retentionVersion;
    if (this.restoring || !any || room >= tables.rooms.count) return undefined;
    return retentionOf(tables, room);
  }

  /** Trees and shard log; null when the machine keeps none or is being restored. */
  get ledger(): Ledger | null {
    return this.restoring ? null : this.tables.ledger;
  }

  /** Makes one proof; null when the machine keeps none or is being restored. */
  prover(loaded: readonly LoadedBlock[] = []): Prover | null {
    const { ledger, proofs } = this;
    if (ledger === null || proofs === null) return null;
    return new Prover(
      this.tables,
      ledger,
      proofs,
      (room, places) => this.redactions.show(room, places),
      loaded,
    );
  }

  /** RestoreSink of replica/snapshot: forgets everything, then takes a checkpoint's scalars. */
  restoreBegin(op: number, state: Uint8Array): void {
    this.restoring = true;
    this.deltas = [];
    this.opApplied = op;
    this.opNeeded = op;
    this.tables.reset(decodeMachineState(state));
    this.applier.reset();
    this.releasable = this.tables.store.end;
  }

  /** Takes a block of rooms. */
  restoreRooms(block: Uint8Array): void {
    this.tables.restoreRooms(block);
  }

  /** Entries [seqFirst, seqFirst + count) of a room are on disk; later runs of it follow. */
  restoreRun(room: number, seqFirst: number, count: number): void {
    this.tables.restoreRun(room, seqFirst, count);
  }

  /** Takes a block of remembered keys. */
  restoreKeys(block: Uint8Array): void {
    this.tables.restoreKeys(block);
  }

  /** Makes runs of the keys taken; false when all are. */
  restoreSettle(): boolean {
    return this.tables.keys.restoreStep();
  }

  /** The machine is as of the checkpoint and answers again. */
  restoreEnd(history: readonly HistorySegment[]): void {
    const { tables } = this;
    assert(tables.rooms.count === tables.state.roomsCount, "MCH-11: all rooms came back");
    tables.history = history;
    tables.takeCellChanges();
    tables.frozenEnd = tables.store.end;
    tables.frozenRooms = tables.rooms.count;
    tables.ledger?.restored(tables.state.timeUs);
    for (const name of tables.watches.names()) {
      const room = tables.find(name);
      if (room < 0) continue;
      const head = tables.rooms.page(room).head[tables.rooms.at(room)] ?? 0;
      tables.watches.found(name, room, head);
      tables.setWatched(room, 1);
    }
    this.restoring = false;
  }
}
