import { assert } from "#replica/base/assert.ts";
import { bytesCompare, readU64, writeU64 } from "#replica/base/bytes.ts";
import { messageBodyBytesMax, nameBytesMax, requestOperationsMax } from "#replica/base/limits.ts";
import type { Result } from "#replica/base/result.ts";
import { fail, ok } from "#replica/base/result.ts";
import { textFromUtf8 } from "#replica/base/text.ts";
import type { EntryType } from "./entry.ts";
import { entryTypeFrom, entryTypeNumber, entryTypeMax } from "./entry.ts";

/**
 * What an operation asks of the machine; the number is the first byte on the wire. Every entry of
 * a room travels as a post, whatever its type; configure sets the quotas of a tenant or a room;
 * create_dm makes the room of two people, for ever closed to others. From version 2 of the machine
 * on: retain says how long a tenant's or a room's history is kept, trim drops what is older.
 */
export const operationKinds = {
  create_room: 1,
  post: 2,
  configure: 3,
  create_dm: 4,
  retain: 5,
  trim: 6,
} as const;

/** Names of the operations. */
export type OperationKind = keyof typeof operationKinds;

/** Bytes before an operation: its u32 length. */
export const operationPrefixBytes = 4;
/** Bytes of a post before its names and body. */
export const postFixedBytes = 48;
/** Bytes of a room creation before its names. */
export const createRoomFixedBytes = 8;
/** Bytes of a configuration, a retention or a trim before its names. */
export const configureFixedBytes = 32;
/** Bytes of one operation without its prefix at most. */
export const operationBytesMax = postFixedBytes + 3 * nameBytesMax + messageBodyBytesMax;

/** Fields of a post. Names in UTF-8. The writer copies; a caller may reuse one object. */
export interface PostFields {
  /** 0 to nameBytesMax bytes. */
  tenant: Uint8Array;
  /** 1 to nameBytesMax bytes. */
  room: Uint8Array;
  /** 1 to nameBytesMax bytes. */
  sender: Uint8Array;
  /** UUIDv7, 16 bytes: chosen by the sender, makes a retry harmless. */
  key: Uint8Array;
  /** Random, 16 bytes: hides the body behind its hash. */
  salt: Uint8Array;
  type: EntryType;
  /** Seq of the entry that this one hangs on; 0 = none. */
  parent: number;
  /** 0 to messageBodyBytesMax bytes, opaque. */
  body: Uint8Array;
  /** The tenant's server vouches for it: roles, bans and mutes are not looked at. Absent = no. */
  authority?: boolean;
}

/** Fields of a room's creation. Names in UTF-8. */
export interface CreateRoomFields {
  tenant: Uint8Array;
  room: Uint8Array;
  /** User who made it, 0 to nameBytesMax bytes. */
  creator: Uint8Array;
}

/** Quotas; 0 = none. */
export interface Quotas {
  /** Rooms of the tenant; of a room: threads under it. */
  rooms: number;
  /** People with a role in one room. A tenant's is that of its rooms without one of their own. */
  members: number;
  /** Entries in one second of log time, of the tenant or of the room with its threads. */
  entriesPerSecond: number;
}

/** How long history is kept; 0 = no limit of that kind. Either limit lets go of an entry. */
export interface Retention {
  /** Seconds of log time. */
  ageSeconds: number;
  /** Entries of a room or thread. */
  entries: number;
  /** Bytes of the encoded entries of a room or thread, a safe integer. */
  bytes: number;
  /** Legal hold: nothing is dropped or redacted. */
  hold: boolean;
}

/** Copies bytes; short strings byte by byte, which is faster than a call of `set`. */
function copy(target: Uint8Array, offset: number, source: Uint8Array): number {
  const { length } = source;
  if (length > 32) target.set(source, offset);
  else for (let i = 0; i < length; i += 1) target[offset + i] = source[i] ?? 0;
  return offset + length;
}

/** Bytes that {@link appendPost} will write for these fields, prefix included. */
export function postBytes(post: PostFields): number {
  const names = post.tenant.length + post.room.length + post.sender.length;
  return operationPrefixBytes + postFixedBytes + names + post.body.length;
}

/**
 * Writes one post, prefix included, at `offset` of a buffer that has {@link postBytes} left;
 * returns the offset behind it. `view` covers exactly the bytes of `bytes`. Asserts the limits.
 *
 * Layout behind the u32 length, little-endian: kind u8 = 2, type u8, tenant, room and sender bytes
 * u8 each, authority u8 (0 or 1), body bytes u16, key 16, salt 16, parent u64, then tenant, room,
 * sender, body.
 */
export function appendPost(
  view: DataView,
  bytes: Uint8Array,
  offset: number,
  post: PostFields,
): number {
  assert(post.tenant.length <= nameBytesMax && post.room.length <= nameBytesMax, "WIR-40: name");
  assert(post.room.length > 0 && post.sender.length > 0, "WIR-40: empty name");
  assert(post.sender.length <= nameBytesMax, "WIR-40: sender");
  assert(post.body.length <= messageBodyBytesMax, "WIR-40: body");
  assert(post.key.length === 16 && post.salt.length === 16, "WIR-40: key or salt");
  const start = offset + operationPrefixBytes;
  bytes[start] = operationKinds.post;
  bytes[start + 1] = entryTypeNumber(post.type);
  bytes[start + 2] = post.tenant.length;
  bytes[start + 3] = post.room.length;
  bytes[start + 4] = post.sender.length;
  bytes[start + 5] = post.authority === true ? 1 : 0;
  view.setUint16(start + 6, post.body.length, true);
  copy(bytes, start + 8, post.key);
  copy(bytes, start + 24, post.salt);
  writeU64(view, start + 40, post.parent);
  let end = copy(bytes, start + postFixedBytes, post.tenant);
  end = copy(bytes, end, post.room);
  end = copy(bytes, end, post.sender);
  end = copy(bytes, end, post.body);
  view.setUint32(offset, end - start, true);
  return end;
}

/** Bytes that {@link appendCreateRoom} will write for these fields, prefix included. */
export function createRoomBytes(room: CreateRoomFields): number {
  const names = room.tenant.length + room.room.length + room.creator.length;
  return operationPrefixBytes + createRoomFixedBytes + names;
}

/**
 * Writes one room creation, prefix included; returns the offset behind it. Layout behind the u32
 * length: kind u8 = 1, zero u8, tenant, room and creator bytes u8 each, three zeros, the names.
 */
export function appendCreateRoom(
  view: DataView,
  bytes: Uint8Array,
  offset: number,
  room: CreateRoomFields,
): number {
  assert(room.tenant.length <= nameBytesMax && room.room.length <= nameBytesMax, "WIR-40: name");
  assert(room.room.length > 0 && room.creator.length <= nameBytesMax, "WIR-40: name");
  const start = offset + operationPrefixBytes;
  bytes.fill(0, start, start + createRoomFixedBytes);
  bytes[start] = operationKinds.create_room;
  bytes[start + 2] = room.tenant.length;
  bytes[start + 3] = room.room.length;
  bytes[start + 4] = room.creator.length;
  let end = copy(bytes, start + createRoomFixedBytes, room.tenant);
  end = copy(bytes, end, room.room);
  end = copy(bytes, end, room.creator);
  view.setUint32(offset, end - start, true);
  return end;
}

/** Why an operation cannot be read. */
export type OperationFault =
  | "truncated"
  | "kind"
  | "length"
  | "type"
  | "name"
  | "key"
  | "parent"
  /** Body over messageBodyBytesMax. */
  | "body";

/**
 * Walks over the operations of one request's body in place. One reader serves many bodies; its
 * fields describe the operation that the last {@link next} found. Never throws on hostile bytes.
 */
export class OperationReader {
  /** Number of {@link operationKinds}. */
  kind = 0;
  /** Set when the operation found is malformed; the other fields are then meaningless. */
  fault: OperationFault | null = null;
  /** Offsets into the bytes given to {@link open}; lengths in bytes. */
  tenantAt = 0;
  tenantBytes = 0;
  roomAt = 0;
  roomBytes = 0;
  /** Sender of a post, creator of a room, who configures, lower user of two. */
  senderAt = 0;
  senderBytes = 0;
  /** Higher user of two. */
  otherAt = 0;
  otherBytes = 0;
  keyAt = 0;
  saltAt = 0;
  bodyAt = 0;
  bodyBytes = 0;
  parent = 0;
  /** Number of an entry type. */
  type = 0;
  /** 1 = the tenant's server vouches for a post. */
  authority = 0;
  /** Of a configuration or a retention; of a trim its floor. */
  version = 0;
  private quotasAt = 0;

  private bytes: Uint8Array = new Uint8Array(0);
  private view: DataView = new DataView(new ArrayBuffer(0));
  private offset = 0;
  private end = 0;

  /** Starts over at `start` of these bytes; `view` covers exactly them; operations end at `end`. */
  open(bytes: Uint8Array, view: DataView, start: number, end: number): void {
    assert(start >= 0 && start <= end && end <= bytes.length, "WIR-41: range");
    this.bytes = bytes;
    this.view = view;
    this.offset = start;
    this.end = end;
  }

  /** Moves to the next operation; false at the end. A broken prefix is one last, faulty one. */
  next(): boolean {
    const { offset, end } = this;
    if (offset === end) return false;
    this.fault = null;
    this.kind = 0;
    const start = offset + operationPrefixBytes;
    const length = start <= end ? this.view.getUint32(offset, true) : 0;
    if (length === 0 || length > end - start) {
      this.offset = end;
      this.fault = "truncated";
      return true;
    }
    this.offset = start + length;
    this.kind = this.bytes[start] ?? 0;
    if (this.kind === operationKinds.post) this.fault = this.readPost(start, length);
    else if (this.kind === operationKinds.create_room) this.fault = this.readCreate(start, length);
    else if (this.kind === operationKinds.create_dm) this.fault = this.readDm(start, length);
    else if (this.kind >= operationKinds.configure && this.kind <= operationKinds.trim)
      this.fault = this.readConfigure(start, length);
    else this.fault = "kind";
    return true;
  }

  private readPost(start: number, length: number): OperationFault | null {
    if (length < postFixedBytes) return "length";
    const { bytes, view } = this;
    this.type = bytes[start + 1] ?? 0;
    this.bodyBytes = view.getUint16(start + 6, true);
    this.keyAt = start + 8;
    this.saltAt = start + 24;
    this.parent = readU64(view, start + 40);
    const names = this.readNames(start, start + postFixedBytes);
    this.bodyAt = names;
    if (names + this.bodyBytes !== start + length) return "length";
    this.authority = bytes[start + 5] ?? 0;
    if (this.authority > 1) return "length";
    if (this.bodyBytes > messageBodyBytesMax) return "body";
    if (this.type < 1 || this.type > entryTypeMax) return "type";
    if (Number.isNaN(this.parent)) return "parent";
    const version = (bytes[start + 14] ?? 0) >> 4;
    const variant = (bytes[start + 16] ?? 0) >> 6;
    if (version !== 7 || variant !== 2) return "key";
    if (this.roomBytes === 0 || this.senderBytes === 0) return "name";
    return this.namesFit() ? null : "name";
  }

  private readCreate(start: number, length: number): OperationFault | null {
    if (length < createRoomFixedBytes) return "length";
    const { bytes } = this;
    const zeros = (bytes[start + 1] ?? 0) | (bytes[start + 5] ?? 0) | (bytes[start + 6] ?? 0);
    if ((zeros | (bytes[start + 7] ?? 0)) !== 0) return "length";
    const names = this.readNames(start, start + createRoomFixedBytes);
    if (names !== start + length) return "length";
    return this.roomBytes > 0 && this.namesFit() ? null : "name";
  }

  private readDm(start: number, length: number): OperationFault | null {
    if (length < createRoomFixedBytes) return "length";
    const { bytes } = this;
    if (((bytes[start + 5] ?? 0) | this.view.getUint16(start + 6)) !== 0) return "length";
    const names = this.readNames(start, start + createRoomFixedBytes);
    this.otherAt = names;
    this.otherBytes = bytes[start + 1] ?? 0;
    if (names + this.otherBytes !== start + length) return "length";
    if (this.roomBytes === 0 || this.senderBytes === 0 || this.otherBytes === 0) return "name";
    const { otherAt, otherBytes } = this;
    if (otherBytes > nameBytesMax || !this.namesFit()) return "name";
    const low = bytes.subarray(this.senderAt, otherAt);
    const high = bytes.subarray(otherAt, otherAt + otherBytes);
    if (bytesCompare(low, high) > 0 || textFromUtf8(high) === null) return "name";
    return null;
  }

  private readConfigure(start: number, length: number): OperationFault | null {
    if (length < configureFixedBytes) return "length";
    const { bytes, view } = this;
    const { kind } = this;
    const retains = kind === operationKinds.retain;
    let zeros = (bytes[start + 5] ?? 0) | view.getUint16(start + 6);
    zeros |= (bytes[start + 1] ?? 0) >> (retains ? 1 : 0);
    if (!retains) zeros |= view.getUint32(start + 28);
    else if (Number.isNaN(readU64(view, start + 24))) return "parent";
    if (kind === operationKinds.trim) {
      zeros |= view.getUint32(start + 16) | view.getUint32(start + 20) | view.getUint32(start + 24);
      if (bytes[start + 3] === 0) return "name";
    }
    if (zeros !== 0) return "length";
    const names = this.readNames(start, start + configureFixedBytes);
    if (names !== start + length) return "length";
    this.version = readU64(view, start + 8);
    this.quotasAt = start + 16;
    if (!(this.version >= 1)) return "parent";
    return this.namesFit() ? null : "name";
  }

  /** Quotas of the configuration found. */
  readQuotas(): Quotas {
    const { view, quotasAt: at } = this;
    return {
      rooms: view.getUint32(at, true),
      members: view.getUint32(at + 4, true),
      entriesPerSecond: view.getUint32(at + 8, true),
    };
  }

  /** What the retention found says. */
  readRetention(): Retention {
    const { view, bytes, quotasAt: at } = this;
    const hold = bytes[at - 15] === 1;
    const [ageSeconds, entries] = [view.getUint32(at, true), view.getUint32(at + 4, true)];
    return { ageSeconds, entries, bytes: readU64(view, at + 8), hold };
  }

  /** All layouts have the three lengths at the same place. */
  private readNames(start: number, at: number): number {
    this.tenantBytes = this.bytes[start + 2] ?? 0;
    this.roomBytes = this.bytes[start + 3] ?? 0;
    this.senderBytes = this.bytes[start + 4] ?? 0;
    this.tenantAt = at;
    this.roomAt = at + this.tenantBytes;
    this.senderAt = this.roomAt + this.roomBytes;
    return this.senderAt + this.senderBytes;
  }

  private namesFit(): boolean {
    if (this.tenantBytes > nameBytesMax || this.roomBytes > nameBytesMax) return false;
    if (this.senderBytes > nameBytesMax) return false;
    const end = this.senderAt + this.senderBytes;
    for (let i = this.tenantAt; i < end; i += 1) {
      if ((this.bytes[i] ?? 0) >= 0x80) return this.namesAreText();
    }
    return true;
  }

  private namesAreText(): boolean {
    const { bytes, tenantAt, roomAt, senderAt } = this;
    return (
      textFromUtf8(bytes.subarray(tenantAt, roomAt)) !== null &&
      textFromUtf8(bytes.subarray(roomAt, senderAt)) !== null &&
      textFromUtf8(bytes.subarray(senderAt, senderAt + this.senderBytes)) !== null
    );
  }
}

/**
 * Counts the operations of a request's body, at most requestOperationsMax, or says what is wrong
 * with the first bad one. The server calls it once a request before the request enters the log.
 */
export function validateOperations(body: Uint8Array): Result<number, OperationFault | "count"> {
  const reader = new OperationReader();
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  reader.open(body, view, 0, body.length);
  let count = 0;
  while (count <= requestOperationsMax && reader.next()) {
    if (reader.fault !== null) return fail(reader.fault);
    count += 1;
  }
  return count > requestOperationsMax ? fail("count") : ok(count);
}

/** What the machine answers to one operation; the number is the u16 on the wire. */
export const resultCodes = {
  ok: 1,
  /** The room was there already: as good as ok; seq is its head. */
  room_exists: 2,
  no_room: 3,
  /** Same room, sender and key, other content. */
  key_mismatch: 4,
  /** The key's own time is before the window: it may have been used and forgotten. */
  key_too_old: 5,
  /** The key's own time is more than five minutes ahead of log time. */
  key_in_future: 6,
  /** The slot belongs to another shard; seq is the slot's number. */
  moved: 7,
  /** A table is full; definite no, try again later. */
  busy: 8,
  too_large: 9,
  bad_operation: 10,
  /** The sender's role does not allow it. */
  denied: 11,
  banned: 12,
  muted: 13,
  /** What it refers to is not there, or is nothing that it can refer to. */
  bad_target: 14,
  /** What it refers to was redacted. */
  redacted: 15,
  /** A marker that is not ahead of the last one, a configuration that is not newer. */
  stale: 16,
  /** A quota of the room or tenant is used up; an operator can raise it. */
  quota: 17,
  /** Too many entries in this second of log time; time is when the next one begins. */
  rate_limited: 18,
  /** What it refers to was dropped by retention; seq is the first entry that is left. */
  gone: 19,
  /** A legal hold keeps the room's history as it is. */
  held: 20,
  /** Retention does not reach so far yet; nothing was dropped. */
  not_due: 21,
} as const;

/** Names of the answers. */
export type ResultCode = keyof typeof resultCodes;

const resultNames = new Map<number, ResultCode>(
  Object.entries(resultCodes).map(([name, code]) => [code, name as ResultCode]),
);

/** Bytes of one result. */
export const resultBytes = 24;
/** Flag of a result: the same operation was committed before, seq and time are the original's. */
export const resultFlagDup = 1;

/** One result as an object, for callers off the hot path. */
export interface OperationResult {
  readonly code: ResultCode;
  readonly dup: boolean;
  /** Epoch of the room (of the slot when moved); u32. */
  readonly epoch: number;
  /** Seq of the entry; head of the room for rooms; slot when moved; else 0. */
  readonly seq: number;
  /** Log time of the entry in microseconds, or 0. */
  readonly timeUs: number;
}

/** Writes one result at `offset`: code u16, flags u8, zero u8, epoch u32, seq u64, time u64. */
export function writeResult(
  view: DataView,
  offset: number,
  code: number,
  flags: number,
  epoch: number,
  seq: number,
  timeUs: number,
): void {
  view.setUint16(offset, code, true);
  view.setUint16(offset + 2, flags, true);
  view.setUint32(offset + 4, epoch, true);
  writeU64(view, offset + 8, seq);
  writeU64(view, offset + 16, timeUs);
}

/** Number of results in a reply, or null when its length is no multiple of one. */
export function resultsCount(reply: Uint8Array): number | null {
  return reply.length % resultBytes === 0 ? reply.length / resultBytes : null;
}

/** Reads result `index` of a reply, or null when there is none or it is malformed. */
export function readResult(reply: Uint8Array, index: number): OperationResult | null {
  const offset = index * resultBytes;
  if (index < 0 || offset + resultBytes > reply.length) return null;
  const view = new DataView(reply.buffer, reply.byteOffset + offset, resultBytes);
  const code = resultNames.get(view.getUint16(0, true));
  const flags = view.getUint16(2, true);
  const seq = readU64(view, 8);
  const timeUs = readU64(view, 16);
  if (code === undefined || flags > resultFlagDup) return null;
  if (Number.isNaN(seq) || Number.isNaN(timeUs)) return null;
  return { code, dup: flags === resultFlagDup, epoch: view.getUint32(4, true), seq, timeUs };
}

/** The entry type that a reader found; only valid when its fault is null. */
export function operationEntryType(reader: OperationReader): EntryType {
  const type = entryTypeFrom(reader.type);
  assert(type !== null, "WIR-41: type");
  return type;
}
