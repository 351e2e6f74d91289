import { utf8From } from "#replica/base/text.ts";
import type { RoomName } from "#replica/wire/client-message.ts";
import { entryTimeAt } from "#replica/wire/entry.ts";
import type { OperationReader } from "#replica/wire/operation.ts";
import { resultCodes } from "#replica/wire/operation.ts";
import { ByteMarks } from "./byte-marks.ts";
import { cellKinds, tenantScope } from "./cell-table.ts";
import type { MachineTables } from "./machine-tables.ts";
import type { Originals } from "./originals.ts";
import type { Rules } from "./rules.ts";

/** Version of the machine from which on history can be dropped. */
export const retentionVersion = 2;
/** How far a key's own time may be ahead of log time, microseconds. */
export const keyAheadMaxUs = 5 * 60 * 1_000_000;

const empty = new Uint8Array(0);

/**
 * How long history is kept, and the floor of each room: entries below it are gone. A trim is judged
 * by log time and by the entries themselves, so it is the same on every replica, whoever asks.
 */
export class Retention {
  private readonly tables: MachineTables;
  private readonly reader: OperationReader;
  private readonly originals: Originals;
  private readonly rules: Rules;
  private readonly marks: ByteMarks;

  constructor(tables: MachineTables, reader: OperationReader, originals: Originals, rules: Rules) {
    this.marks = new ByteMarks(tables);
    this.tables = tables;
    this.reader = reader;
    this.originals = originals;
    this.rules = rules;
  }

  /** Sets a retention: ok, room_exists for the same once more, or a refusal. */
  retain(scope: number): number {
    const { rules, reader } = this;
    const { ageSeconds, entries, bytes, hold } = reader.readRetention();
    const wanted = [
      [cellKinds.retainAge, ageSeconds],
      [cellKinds.retainEntries, entries],
      [cellKinds.retainBytes, bytes],
      [cellKinds.hold, Number(hold)],
    ] as const;
    const get = (kind: number): number =>
      scope === tenantScope ? rules.tenantCell(kind) : rules.cell(scope, kind);
    const current = get(cellKinds.retainVersion);
    if (reader.version < current) return resultCodes.stale;
    if (reader.version === current) {
      const equal = wanted.every(([kind, value]) => get(kind) === value);
      return equal ? resultCodes.room_exists : resultCodes.key_mismatch;
    }
    for (const [kind, value] of [...wanted, [cellKinds.retainVersion, reader.version] as const]) {
      if (scope === tenantScope) rules.setTenantCell(kind, value);
      else rules.setCell(scope, kind, value);
    }
    return resultCodes.ok;
  }

  /** Raises the floor of a room to that of the operation, if its retention allows it now. */
  trim(room: number): number {
    const { tables, rules, reader, originals } = this;
    const { rooms, state } = tables;
    const page = rooms.page(room);
    const base = page.base[rooms.at(room)] ?? 0;
    const head = page.head[rooms.at(room)] ?? 0;
    const floor = reader.version;
    if (floor > head) return resultCodes.bad_operation;
    if (floor <= floorOf(tables, room)) return resultCodes.stale;
    if (rules.holds(base)) return resultCodes.held;
    const dropped = originals.find(room, floor - 1);
    const view = new DataView(dropped.bytes.buffer, dropped.bytes.byteOffset + dropped.at);
    const ageUs = state.timeUs - entryTimeAt(view, 0);
    // Its key must be one that would be refused: nothing is left to compare a retry with.
    if (ageUs <= state.keyWindowUs + keyAheadMaxUs) return resultCodes.not_due;
    const age = this.limit(base, cellKinds.retainAge);
    const entries = this.limit(base, cellKinds.retainEntries);
    const old = age > 0 && ageUs > age * 1_000_000;
    const many = entries > 0 && head - floor + 1 >= entries;
    const bytes = this.limit(base, cellKinds.retainBytes);
    const large = bytes > 0 && floor <= this.marks.floorFor(room, head, bytes);
    if (!old && !many && !large) return resultCodes.not_due;
    raiseFloor(tables, room, floor);
    return resultCodes.ok;
  }

  /** An entry of `bytes` is entry `seq` of a room now. */
  count(room: number, seq: number, bytes: number): void {
    const { rooms } = this.tables;
    const base = rooms.page(room).base[rooms.at(room)] ?? 0;
    const limit = this.limit(base, cellKinds.retainBytes);
    if (limit > 0) this.marks.count(room, seq, bytes, limit);
  }

  private limit(base: number, kind: number): number {
    const own = this.rules.cell(base, kind);
    return own > 0 ? own : this.rules.tenantCell(kind);
  }
}

/** What the retention of a room or thread asks for, and where its log begins and ends. */
export interface RetentionView {
  readonly name: RoomName;
  readonly floor: number;
  readonly head: number;
  /** Entries whose age is above this may go by age, microseconds; Infinity = none. */
  readonly ageUs: number;
  /** Entries to keep at least by number; Infinity = none may go by number. */
  readonly entries: number;
  /** The highest floor that leaves the bytes to be kept; 0 = none may go by bytes. */
  readonly bytesFloor: number;
  /** Age below which nothing may go, microseconds. */
  readonly leastUs: number;
}

/** The retention of a room that has one and is not held; null otherwise. */
export function retentionOf(tables: MachineTables, room: number): RetentionView | null {
  const { rooms, cells, state } = tables;
  const page = rooms.page(room);
  const at = rooms.at(room);
  const head = page.head[at] ?? 0;
  const floor = floorOf(tables, room);
  if (head <= floor) return null;
  const base = page.base[at] ?? 0;
  const name = rooms.name(room);
  const tenant = utf8From(name.tenant);
  const own = (kind: number): number => cells.get(base, kind, 0, empty, 0, 0);
  const all = (kind: number): number => cells.get(tenantScope, kind, 0, tenant, 0, tenant.length);
  const limit = (kind: number): number => (own(kind) > 0 ? own(kind) : all(kind));
  const age = limit(cellKinds.retainAge);
  const entries = limit(cellKinds.retainEntries);
  const bytes = limit(cellKinds.retainBytes);
  if (age + entries + bytes === 0) return null;
  if (own(cellKinds.hold) + all(cellKinds.hold) > 0) return null;
  const bytesFloor = bytes > 0 ? new ByteMarks(tables).floorFor(room, head, bytes) : 0;
  return {
    name,
    floor,
    head,
    ageUs: age > 0 ? age * 1_000_000 : Number.POSITIVE_INFINITY,
    entries: entries > 0 ? entries : Number.POSITIVE_INFINITY,
    bytesFloor: Math.max(0, bytesFloor),
    leastUs: state.keyWindowUs + keyAheadMaxUs,
  };
}

/** Seq of the first entry of a room that is not gone, from 1. */
export function floorOf(tables: MachineTables, room: number): number {
  const { rooms } = tables;
  return Math.max(1, rooms.page(room).floor[rooms.at(room)] ?? 0);
}

/** Checkpoints since version 2 of the machine began: every eighth begins a sweep. */
export function freezesOf(tables: MachineTables): number {
  return tables.cells.get(tenantScope, cellKinds.freezes, 0, empty, 0, 0);
}

/** Checkpoints from one sweep to the next. */
export const sweepPeriod = 8;

function raiseFloor(tables: MachineTables, room: number, floor: number): void {
  const get = (kind: number): number => tables.cells.get(room, kind, 0, empty, 0, 0);
  const set = (kind: number, value: number): void => {
    tables.setCell(room, kind, 0, empty, 0, 0, value);
  };
  const sweep = Math.floor(freezesOf(tables) / sweepPeriod) + 1;
  if (get(cellKinds.floorSweep) !== sweep) {
    set(cellKinds.floorBefore, floorOf(tables, room));
    set(cellKinds.floorSweep, sweep);
  }
  set(cellKinds.floor, floor);
}
