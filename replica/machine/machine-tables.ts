import { assert } from "#replica/base/assert.ts";
import { readU64 } from "#replica/base/bytes.ts";
import { utf8From } from "#replica/base/text.ts";
import type { RoomName } from "#replica/wire/client-message.ts";
import type { CellChanges } from "./cell-table.ts";
import { cellKinds, cellRowFixedBytes, cellRowMark, CellTable, tenantScope } from "./cell-table.ts";
import { roomRowFixedBytes } from "./delta.ts";
import { DirtyRooms } from "./dirty-rooms.ts";
import { EntryStore } from "./entry-store.ts";
import { keyRowBytes, keyRowMs, keyRowSeq } from "./key-row.ts";
import { generationMs, KeyTable } from "./key-table.ts";
import type { MachineState } from "./machine-state.ts";
import type { Ledger } from "./ledger.ts";
import type { HistorySegment, MachineOptions } from "./port.ts";
import { tapesStart } from "./proof-tapes.ts";
import { roomRedactions, roomRules, RoomTable } from "./room-table.ts";
import { WatchList } from "./watch-list.ts";

/** All that a machine holds: scalars, rooms, recent entries, keys, where history lies. */
export class MachineTables {
  state: MachineState;
  rooms: RoomTable;
  cells: CellTable;
  /** Tenants with a quota of entries a second. */
  tenantRates = 0;
  /** Tenants and rooms with a retention by bytes. */
  byteRetentions = 0;
  keys: KeyTable;
  private readonly looseKeysMax: number | undefined;
  readonly store: EntryStore;
  readonly watches = new WatchList();
  history: readonly HistorySegment[] = [];
  /** True once some retention was set; no part of the state. */
  retains = false;
  /** Trees of the rooms and the shard's log; null when this machine keeps none. */
  ledger: Ledger | null = null;
  /** Address and number of rooms up to which everything belongs to a frozen delta. */
  frozenEnd = 0;
  frozenRooms = 0;
  /** Two words that key the hashes of remembered keys. */
  keyHash0 = 0;
  keyHash1 = 0;
  private dirty = new DirtyRooms();

  constructor(state: MachineState, options: MachineOptions) {
    this.looseKeysMax = options.looseKeysMax;
    this.keys = new KeyTable(this.looseKeysMax);
    this.state = state;
    this.store = new EntryStore(options.chunkBytes);
    this.rooms = this.emptyRooms(state);
    this.cells = new CellTable(this.keyHash0, this.keyHash1);
  }

  /** Forgets everything but the watches and takes these scalars. */
  reset(state: MachineState): void {
    this.state = state;
    this.rooms = this.emptyRooms(state);
    this.cells = new CellTable(this.keyHash0, this.keyHash1);
    this.tenantRates = 0;
    this.byteRetentions = 0;
    this.retains = false;
    this.keys = new KeyTable(this.looseKeysMax);
    this.keys.expire(state.keyGenerationFloor * generationMs);
    this.store.clear();
    this.watches.detach();
    this.history = [];
    this.dirty = new DirtyRooms();
    this.frozenEnd = this.store.end;
    this.frozenRooms = 0;
    this.ledger?.reset();
  }

  private emptyRooms(state: MachineState): RoomTable {
    const seed = new DataView(state.seed.buffer, state.seed.byteOffset, state.seed.byteLength);
    this.keyHash0 = seed.getInt32(8, true);
    this.keyHash1 = seed.getInt32(12, true);
    return new RoomTable(seed.getInt32(0, true), seed.getInt32(4, true));
  }

  /** Number of the room with this name, or -1. */
  find(name: RoomName): number {
    const tenant = utf8From(name.tenant);
    const room = utf8From(name.room);
    if (tenant.length > 255 || room.length > 255) return -1;
    const bytes = new Uint8Array(tenant.length + room.length);
    bytes.set(tenant);
    bytes.set(room, tenant.length);
    return this.rooms.find(bytes, 0, tenant.length, tenant.length, room.length);
  }

  /** Marks a room as watched (1) or not (0). */
  setWatched(room: number, watched: 0 | 1): void {
    this.rooms.page(room).watched[this.rooms.at(room)] = watched;
  }

  /** An entry was added to a room since the last freeze. */
  markDirty(room: number): void {
    this.dirty.add(room);
    this.ledger?.touch(room);
  }

  /** The rooms marked since the last call. */
  takeDirty(): DirtyRooms {
    const { dirty } = this;
    this.dirty = new DirtyRooms();
    return dirty;
  }

  /** The cells set since the last call. */
  takeCellChanges(): CellChanges {
    return this.cells.takeChanges();
  }

  /** Sets a cell and what follows from it; returns its value before. */
  setCell(
    room: number,
    kind: number,
    number: number,
    bytes: Uint8Array,
    at: number,
    length: number,
    value: number,
  ): number {
    const before = this.cells.set(room, kind, number, bytes, at, length, value);
    if (kind === cellKinds.retainVersion) this.retains = true;
    if (kind === cellKinds.retainBytes) {
      this.byteRetentions += Number(value > 0) - Number(before > 0);
    }
    if (room === tenantScope) {
      if (kind === cellKinds.quotaRate) this.tenantRates += Number(value > 0) - Number(before > 0);
      return before;
    }
    if (kind === cellKinds.floor) this.rooms.page(room).floor[this.rooms.at(room)] = value;
    const bit = specialBit(kind);
    if (bit !== 0) {
      const page = this.rooms.page(room);
      page.special[this.rooms.at(room)] = (page.special[this.rooms.at(room)] ?? 0) | bit;
    }
    return before;
  }

  /** Takes rows of rooms and of cells as replica/machine/delta.ts wrote them. */
  restoreRooms(block: Uint8Array): void {
    const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
    for (let at = 0; at < block.length; ) {
      if (view.getUint32(at + 4, true) >= cellRowMark) {
        const bytes = view.getUint32(at, true);
        const subject = at + cellRowFixedBytes;
        const subjectBytes = bytes - cellRowFixedBytes;
        CellTable.readRow(view, at, (room, kind, number, value) => {
          this.setCell(room, kind, number, block, subject, subjectBytes, value);
        });
        at += bytes;
        continue;
      }
      const name = at + roomRowFixedBytes;
      const tenantBytes = block[name] ?? 0;
      const roomBytes = block[name + 1] ?? 0;
      const creatorBytes = block[name + 2] ?? 0;
      const room = this.rooms.add(block, name + 4, tenantBytes, roomBytes, creatorBytes);
      assert(room === view.getUint32(at + 4, true), "MCH-11: rooms come back in order");
      const page = this.rooms.page(room);
      page.epoch[this.rooms.at(room)] = view.getUint32(at + 8, true);
      page.floor[this.rooms.at(room)] = readU64(view, at + 12);
      page.createdUs[this.rooms.at(room)] = readU64(view, at + 20);
      at = name + 4 + tenantBytes + roomBytes + creatorBytes;
    }
  }

  /** Moves a room's head to the end of a run that is on disk. */
  restoreRun(room: number, seqFirst: number, count: number): void {
    if (room >= tapesStart) {
      this.ledger?.restoreRun(room, seqFirst, count);
      return;
    }
    const page = this.rooms.page(room);
    const head = page.head[this.rooms.at(room)] ?? 0;
    // Below the floor entries may be gone from some segments and not yet from others.
    const most = Math.max(head + 1, page.floor[this.rooms.at(room)] ?? 0);
    assert(seqFirst > head && seqFirst <= most, "MCH-04: runs of a room are dense");
    page.head[this.rooms.at(room)] = seqFirst + count - 1;
  }

  /** Takes rows of remembered keys; those of forgotten generations are left out. */
  restoreKeys(block: Uint8Array): void {
    const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
    const floorMs = this.keys.generationFloor * generationMs;
    for (let at = 0; at + keyRowBytes <= block.length; at += keyRowBytes) {
      const keyMs = keyRowMs(view, at);
      if (keyMs < floorMs) continue;
      const seqLow = keyRowSeq(view, at) >>> 0;
      this.keys.restore(keyMs, seqLow, view.getInt32(at + 16, true), view.getInt32(at + 20, true));
    }
  }
}

/** What a cell of this kind says of its room at a glance. */
function specialBit(kind: number): number {
  if (kind === cellKinds.redacted) return roomRedactions;
  const ruling: readonly number[] = [
    cellKinds.role,
    cellKinds.ban,
    cellKinds.mute,
    cellKinds.settings,
    cellKinds.quotaRate,
  ];
  return ruling.includes(kind) ? roomRules : 0;
}
