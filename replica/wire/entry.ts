import { assert } from "#replica/base/assert.ts";
import type { Seq, TimestampUs } from "#replica/base/brands.ts";
import { seqFrom, timestampFrom } from "#replica/base/brands.ts";
import { readU64, writeU64 } from "#replica/base/bytes.ts";
import { messageBodyBytesMax, nameBytesMax } from "#replica/base/limits.ts";
import type { Result } from "#replica/base/result.ts";
import { fail, ok } from "#replica/base/result.ts";
import { textFromUtf8, utf8From } from "#replica/base/text.ts";

/**
 * What a committed entry is; the number is on the wire, on disk and in the Merkle leaf for ever.
 * What their bodies hold is in entry-body.ts, who may post them in replica/machine. A `thread` is
 * written by the machine itself: the first answer under a message.
 */
export const entryTypes = {
  message: 1,
  edit: 2,
  redact: 3,
  react: 4,
  member: 5,
  ban: 6,
  mute: 7,
  marker: 8,
  settings: 9,
  unreact: 10,
  thread: 11,
} as const;

/** Names of the entry types. */
export type EntryType = keyof typeof entryTypes;
/** Highest number of an entry type. */
export const entryTypeMax = 11;

const typeNames = new Map<number, EntryType>(
  Object.entries(entryTypes).map(([name, number]) => [number, name as EntryType]),
);

/** The number of a type. */
export function entryTypeNumber(type: EntryType): number {
  return entryTypes[type];
}

/** The type of a number, or null. */
export function entryTypeFrom(number: number): EntryType | null {
  return typeNames.get(number) ?? null;
}

/** Version of the layout, first byte of every entry. */
export const entryVersion = 1;
/** Bytes before the sender's id. */
export const entryFixedBytes = 48;
/** Bytes of the salt behind the sender. */
export const entrySaltBytes = 16;
/** Flag: body and salt were destroyed, H(salt, body) of 32 bytes stands in their place. */
export const entryFlagRedacted = 1;
/** Flag: only moderators, owners, the sender and the user in the body may see it. */
export const entryFlagStaff = 2;
/** Flag: only the sender may see it. */
export const entryFlagOwn = 4;
/** Flag: posted with the authority of the tenant's server, whatever the sender's role is. */
export const entryFlagAuthority = 8;
const entryFlagsMax = 15;
/** Bytes of an encoded entry at most. */
export const entryBytesMax = entryFixedBytes + nameBytesMax + entrySaltBytes + messageBodyBytesMax;
/** Bytes before an entry in a list: its u32 length. */
export const entryPrefixBytes = 4;

/** One committed thing in a room. */
export interface Entry {
  readonly type: EntryType;
  readonly redacted: boolean;
  /** Who may see it; absent = everybody in the room. */
  readonly visibility?: "staff" | "own";
  /** Present when the tenant's server vouched for the sender. */
  readonly authority?: true;
  readonly epoch: number;
  readonly seq: Seq;
  /** Log time. */
  readonly timeUs: TimestampUs;
  readonly sender: string;
  /** UUIDv7, 16 bytes. */
  readonly key: Uint8Array;
  /** Seq of the entry that this hangs on; 0 = none. */
  readonly parent: Seq;
  /** 16 bytes; empty when redacted. */
  readonly salt: Uint8Array;
  /** The body; when redacted, H(salt, body) of 32 bytes. */
  readonly body: Uint8Array;
}

/*
 * Layout, little-endian: version u8 = 1, type u8, sender bytes u8, flags u8, epoch u32, seq u64,
 * time u64, parent u64, key 16, sender, salt 16, body up to the end (redacted: hash 32 instead of
 * salt and body). All that stands before the salt is the head: the Merkle leaf covers it with
 * the redacted flag off, with the room's name and with H(salt, body), so that redaction keeps
 * every proof.
 */

function flagsOf(entry: Entry): number {
  const staff = entry.visibility === "staff" ? entryFlagStaff : 0;
  const own = entry.visibility === "own" ? entryFlagOwn : 0;
  const authority = entry.authority === true ? entryFlagAuthority : 0;
  return (entry.redacted ? entryFlagRedacted : 0) | staff | own | authority;
}

/** Encodes an entry. Asserts the limits. */
export function encodeEntry(entry: Entry): Uint8Array {
  const sender = utf8From(entry.sender);
  assert(sender.length >= 1 && sender.length <= nameBytesMax, "WIR-42: sender");
  assert(entry.key.length === 16, "WIR-42: key");
  assert(entry.salt.length === (entry.redacted ? 0 : entrySaltBytes), "WIR-42: salt");
  assert(entry.body.length <= messageBodyBytesMax, "WIR-42: body");
  assert(!entry.redacted || entry.body.length === 32, "WIR-42: redacted body");
  const head = entryFixedBytes + sender.length;
  const bytes = new Uint8Array(head + entry.salt.length + entry.body.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = entryVersion;
  bytes[1] = entryTypeNumber(entry.type);
  bytes[2] = sender.length;
  bytes[3] = flagsOf(entry);
  view.setUint32(4, entry.epoch, true);
  writeU64(view, 8, entry.seq);
  writeU64(view, 16, entry.timeUs);
  writeU64(view, 24, entry.parent);
  bytes.set(entry.key, 32);
  bytes.set(sender, entryFixedBytes);
  bytes.set(entry.salt, head);
  bytes.set(entry.body, head + entry.salt.length);
  return bytes;
}

/** Why bytes are no entry. */
export type EntryFault = "length" | "version" | "type" | "flags" | "number" | "sender" | "body";

/** Decodes one entry; key, salt and body are views into `bytes`. Never throws on hostile bytes. */
export function decodeEntry(bytes: Uint8Array): Result<Entry, EntryFault> {
  if (bytes.length < entryFixedBytes + 1) return fail("length");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes[0] !== entryVersion) return fail("version");
  const type = entryTypeFrom(bytes[1] ?? 0);
  if (type === null) return fail("type");
  const flags = bytes[3] ?? 0;
  const staff = (flags & entryFlagStaff) !== 0;
  const own = (flags & entryFlagOwn) !== 0;
  if (flags > entryFlagsMax || (staff && own)) return fail("flags");
  const seq = readU64(view, 8);
  const timeUs = readU64(view, 16);
  const parent = readU64(view, 24);
  if (Number.isNaN(seq) || Number.isNaN(timeUs) || Number.isNaN(parent)) return fail("number");
  const senderBytes = bytes[2] ?? 0;
  const head = entryFixedBytes + senderBytes;
  if (senderBytes < 1 || senderBytes > nameBytesMax) return fail("sender");
  const redacted = (flags & entryFlagRedacted) !== 0;
  const bodyAt = head + (redacted ? 0 : entrySaltBytes);
  if (bytes.length < bodyAt || (redacted && bytes.length !== bodyAt + 32)) return fail("length");
  if (bytes.length - bodyAt > messageBodyBytesMax) return fail("body");
  const sender = textFromUtf8(bytes.subarray(entryFixedBytes, head));
  if (sender === null) return fail("sender");
  return ok({
    type,
    redacted,
    ...(staff ? { visibility: "staff" as const } : own ? { visibility: "own" as const } : {}),
    ...((flags & entryFlagAuthority) === 0 ? {} : { authority: true as const }),
    epoch: view.getUint32(4, true),
    seq: seqFrom(seq),
    timeUs: timestampFrom(timeUs),
    sender,
    key: bytes.subarray(32, 48),
    parent: seqFrom(parent),
    salt: bytes.subarray(head, bodyAt),
    body: bytes.subarray(bodyAt),
  });
}

/** Bytes of an encoded, unredacted entry. */
export function entryBytes(senderBytes: number, bodyBytes: number): number {
  return entryFixedBytes + senderBytes + entrySaltBytes + bodyBytes;
}

/** Bytes of an encoded entry before its salt, or before its hash when redacted. */
export function entryHeadBytes(entry: Uint8Array, offset: number): number {
  return entryFixedBytes + (entry[offset + 2] ?? 0);
}

/**
 * The entry without its body and salt: H(salt, body), which `hash` gives, stands in their place.
 * `entry` is a whole encoded entry, known to be valid and not redacted.
 */
export function redactEntry(
  entry: Uint8Array,
  hash: (bytes: Uint8Array) => Uint8Array,
): Uint8Array {
  const head = entryHeadBytes(entry, 0);
  const digest = hash(entry.subarray(head));
  assert(digest.length === 32, "WIR-43: hash of 32 bytes");
  const redacted = new Uint8Array(head + 32);
  redacted.set(entry.subarray(0, head));
  redacted.set(digest, head);
  redacted[3] = (redacted[3] ?? 0) | entryFlagRedacted;
  return redacted;
}

/** Seq of an encoded entry at `offset` of a view; the bytes are known to be an entry. */
export function entrySeqAt(view: DataView, offset: number): number {
  return view.getUint32(offset + 12, true) * 2 ** 32 + view.getUint32(offset + 8, true);
}

/** Log time of an encoded entry that starts at `offset` of a view, in microseconds. */
export function entryTimeAt(view: DataView, offset: number): number {
  return view.getUint32(offset + 20, true) * 2 ** 32 + view.getUint32(offset + 16, true);
}

/**
 * Splits a list of entries, each behind its u32 length, into views of them, at most `countMax`.
 * Null when the list is cut or longer. The entries themselves are not looked at.
 */
export function splitEntries(list: Uint8Array, countMax: number): readonly Uint8Array[] | null {
  const view = new DataView(list.buffer, list.byteOffset, list.byteLength);
  const entries: Uint8Array[] = [];
  let offset = 0;
  while (offset < list.length) {
    if (entries.length === countMax || offset + entryPrefixBytes > list.length) return null;
    const start = offset + entryPrefixBytes;
    const length = view.getUint32(offset, true);
    if (length > list.length - start) return null;
    entries.push(list.subarray(start, start + length));
    offset = start + length;
  }
  return entries;
}

/** Decodes a list of entries, each behind its u32 length; null when anything in it is wrong. */
export function decodeEntries(list: Uint8Array, countMax: number): readonly Entry[] | null {
  const parts = splitEntries(list, countMax);
  if (parts === null) return null;
  const entries: Entry[] = [];
  for (const part of parts) {
    const decoded = decodeEntry(part);
    if (!decoded.ok) return null;
    entries.push(decoded.value);
  }
  return entries;
}

/** Puts each entry behind its u32 length. */
export function joinEntries(entries: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const entry of entries) length += entryPrefixBytes + entry.length;
  const list = new Uint8Array(length);
  const view = new DataView(list.buffer);
  let offset = 0;
  for (const entry of entries) {
    view.setUint32(offset, entry.length, true);
    list.set(entry, offset + entryPrefixBytes);
    offset += entryPrefixBytes + entry.length;
  }
  return list;
}

/**
 * Preimage of an entry's RFC 6962 leaf: tenant bytes u8, room bytes u8, tenant, room, the entry's
 * head with the redacted flag off, and H(salt, body) of 32 bytes, which `hash` gives (of a
 * redacted entry it stands in the entry). `entry` is an encoded entry, known to be valid.
 */
export function entryLeafPreimage(
  tenant: Uint8Array,
  room: Uint8Array,
  entry: Uint8Array,
  hash: (bytes: Uint8Array) => Uint8Array,
): Uint8Array {
  const head = entryFixedBytes + (entry[2] ?? 0);
  const flags = entry[3] ?? 0;
  const redacted = (flags & entryFlagRedacted) !== 0;
  const bodyHash = redacted ? entry.subarray(head) : hash(entry.subarray(head));
  assert(bodyHash.length === 32, "WIR-43: hash of 32 bytes");
  const preimage = new Uint8Array(2 + tenant.length + room.length + head + 32);
  preimage[0] = tenant.length;
  preimage[1] = room.length;
  preimage.set(tenant, 2);
  preimage.set(room, 2 + tenant.length);
  const at = 2 + tenant.length + room.length;
  preimage.set(entry.subarray(0, head), at);
  preimage[at + 3] = flags & ~entryFlagRedacted;
  preimage.set(bodyHash, at + head);
  return preimage;
}
