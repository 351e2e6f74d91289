import { assert } from "#replica/base/assert.ts";
import { writeU64 } from "#replica/base/bytes.ts";
import { nameBytesMax } from "#replica/base/limits.ts";
import type { Quotas, Retention } from "./operation.ts";
import {
  configureFixedBytes,
  createRoomFixedBytes,
  operationKinds,
  operationPrefixBytes,
} from "./operation.ts";

/** Writes names one after another, then the length of the operation in front of it. */
function finish(
  view: DataView,
  bytes: Uint8Array,
  offset: number,
  namesAt: number,
  names: readonly Uint8Array[],
): number {
  let end = namesAt;
  for (const name of names) {
    bytes.set(name, end);
    end += name.length;
  }
  view.setUint32(offset, end - offset - operationPrefixBytes, true);
  return end;
}

/** Fields of the creation of a room for two. Names in UTF-8. */
export interface CreateDmFields {
  tenant: Uint8Array;
  /** Follows from the sorted pair; the caller derives it. */
  room: Uint8Array;
  /** The two users, ascending by bytes, 1 to nameBytesMax bytes; both may be the same. */
  low: Uint8Array;
  high: Uint8Array;
}

/** Fields of a configuration: what is not named in it is no longer limited. Names in UTF-8. */
export interface ConfigureFields extends Quotas {
  tenant: Uint8Array;
  /** Empty = the tenant's own quotas. */
  room: Uint8Array;
  /** Who does it, 0 to nameBytesMax bytes; not part of the state. */
  by: Uint8Array;
  /** Above that of the configuration before; the same one again is harmless. */
  version: number;
}

/** Fields of a retention: how long history is kept. Names in UTF-8. */
export interface RetainFields extends Retention {
  tenant: Uint8Array;
  /** Empty = the tenant's rooms that have no retention of their own. */
  room: Uint8Array;
  /** Who does it, 0 to nameBytesMax bytes; not part of the state. */
  by: Uint8Array;
  /** Above that of the retention before; the same one again is harmless. */
  version: number;
}

/** Fields of a trim: entries of a room below `floor` are let go. Names in UTF-8. */
export interface TrimFields {
  tenant: Uint8Array;
  /** A room or a thread. */
  room: Uint8Array;
  by: Uint8Array;
  /** Seq of the first entry that is kept. */
  floor: number;
}

/** Bytes that {@link appendCreateDm} will write for these fields, prefix included. */
export function createDmBytes(dm: CreateDmFields): number {
  const names = dm.tenant.length + dm.room.length + dm.low.length + dm.high.length;
  return operationPrefixBytes + createRoomFixedBytes + names;
}

/**
 * Writes the creation of a room for two, prefix included; returns the offset behind it. Layout
 * behind the u32 length: kind u8 = 4, bytes of high u8, of tenant, room and low u8 each, three
 * zeros, then tenant, room, low, high.
 */
export function appendCreateDm(
  view: DataView,
  bytes: Uint8Array,
  offset: number,
  dm: CreateDmFields,
): number {
  const names = [dm.tenant, dm.room, dm.low, dm.high];
  for (const name of names) assert(name.length <= nameBytesMax, "WIR-40: name");
  const { room, low, high } = dm;
  assert(room.length > 0 && low.length > 0 && high.length > 0, "WIR-40: empty name");
  const start = offset + operationPrefixBytes;
  bytes.fill(0, start, start + createRoomFixedBytes);
  bytes[start] = operationKinds.create_dm;
  bytes[start + 1] = high.length;
  bytes[start + 2] = dm.tenant.length;
  bytes[start + 3] = room.length;
  bytes[start + 4] = low.length;
  return finish(view, bytes, offset, start + createRoomFixedBytes, names);
}

/** Bytes that configure, retain and trim take with these names, prefix included. */
export function configureBytes(fields: Pick<ConfigureFields, "tenant" | "room" | "by">): number {
  const names = fields.tenant.length + fields.room.length + fields.by.length;
  return operationPrefixBytes + configureFixedBytes + names;
}

/**
 * Writes one configuration, prefix included; returns the offset behind it. Layout behind the u32
 * length: kind u8 = 3, zero u8, tenant, room and by bytes u8 each, three zeros, version u64, rooms,
 * members, entries a second u32 each, zero u32, the names.
 */
export function appendConfigure(
  view: DataView,
  bytes: Uint8Array,
  offset: number,
  fields: ConfigureFields,
): number {
  const { tenant, room, by } = fields;
  const start = begin(bytes, offset, operationKinds.configure, fields);
  writeU64(view, start + 8, fields.version);
  view.setUint32(start + 16, fields.rooms, true);
  view.setUint32(start + 20, fields.members, true);
  view.setUint32(start + 24, fields.entriesPerSecond, true);
  return finish(view, bytes, offset, start + configureFixedBytes, [tenant, room, by]);
}

/**
 * Writes one retention, as {@link appendConfigure} does. Layout behind the u32 length: kind u8 = 5,
 * hold u8, tenant, room and by bytes u8 each, three zeros, version u64, seconds u32, entries u32,
 * bytes u64, the names.
 */
export function appendRetain(
  view: DataView,
  bytes: Uint8Array,
  offset: number,
  fields: RetainFields,
): number {
  const { tenant, room, by } = fields;
  const start = begin(bytes, offset, operationKinds.retain, fields);
  bytes[start + 1] = fields.hold ? 1 : 0;
  writeU64(view, start + 8, fields.version);
  view.setUint32(start + 16, fields.ageSeconds, true);
  view.setUint32(start + 20, fields.entries, true);
  writeU64(view, start + 24, fields.bytes);
  return finish(view, bytes, offset, start + configureFixedBytes, [tenant, room, by]);
}

/**
 * Writes one trim, as {@link appendConfigure} does. Layout behind the u32 length: kind u8 = 6, zero
 * u8, tenant, room and by bytes u8 each, three zeros, floor u64, zeros 16, the names.
 */
export function appendTrim(
  view: DataView,
  bytes: Uint8Array,
  offset: number,
  fields: TrimFields,
): number {
  const { tenant, room, by } = fields;
  assert(room.length > 0, "WIR-40: empty name");
  const start = begin(bytes, offset, operationKinds.trim, fields);
  writeU64(view, start + 8, fields.floor);
  return finish(view, bytes, offset, start + configureFixedBytes, [tenant, room, by]);
}

/** Writes kind and lengths of names; returns where the operation starts. */
function begin(
  bytes: Uint8Array,
  offset: number,
  kind: number,
  fields: Pick<ConfigureFields, "tenant" | "room" | "by">,
): number {
  const { tenant, room, by } = fields;
  assert(tenant.length <= nameBytesMax && room.length <= nameBytesMax, "WIR-40: name");
  assert(by.length <= nameBytesMax, "WIR-40: name");
  const start = offset + operationPrefixBytes;
  bytes.fill(0, start, start + configureFixedBytes);
  bytes[start] = kind;
  bytes[start + 2] = tenant.length;
  bytes[start + 3] = room.length;
  bytes[start + 4] = by.length;
  return start;
}
