import { assert } from "#replica/base/assert.ts";
import { bytesEqual, readU64, writeU64 } from "#replica/base/bytes.ts";
import { sha256Bytes } from "./hash.ts";
import type { VaultPurpose } from "./vault.ts";

// The file has two copies of 512 KiB. A copy: magic u32, version u32, sequence u64, KEK id 16, next
// key id u32, count u32, zeros to 64, SHA-256 of header (hash as zeros) and entries 32, zeros to
// 128, entries. Entry, 72 bytes: key id u32, purpose u32, wrapped form 60 (nonce 12, key 32, tag
// 16), zeros 4.
const magic = 0x544b4754; // "TGKT"
const version = 1;
const hashAt = 64;
const entriesAt = 128;
const entryBytes = 72;

/** Bytes of a wrapped data key: nonce, wrapped key, tag. */
export const wrappedBytes = 60;
/** Bytes of one copy of the table. */
export const tableCopyBytes = 512 * 1024;
/** Data keys that a table holds at most. */
export const dataKeysMax = Math.floor((tableCopyBytes - entriesAt) / entryBytes);

/** A data key with its wrapped form. */
export interface DataKey<Key> {
  readonly id: number;
  readonly purpose: VaultPurpose;
  readonly key: Key;
  readonly wrapped: Uint8Array;
}

/** What names a key-encryption key without revealing anything of it, 16 bytes. */
export interface NamedKek {
  readonly id: Uint8Array;
}

/** How data keys are made and wrapped: AES-256-GCM in production, a fake in the simulator. */
export interface KeyWrapping<Kek extends NamedKek, Key> {
  /** A fresh random key. */
  make(): Key;
  /** The wrapped form, {@link wrappedBytes} long. */
  wrap(kek: Kek, id: number, purpose: VaultPurpose, key: Key): Uint8Array;
  /** Null: wrapped by another key, for another entry, or damaged. */
  unwrap(kek: Kek, id: number, purpose: VaultPurpose, wrapped: Uint8Array): Key | null;
}

/** A table's content. */
export interface KeyTable<Key> {
  readonly sequence: number;
  readonly nextId: number;
  readonly keys: readonly DataKey<Key>[];
}

/** What a copy turned out to be. `foreign`: wrapped by none of the keys given. */
export type KeyTableCopy<Kek, Key> =
  | { readonly kind: "blank" | "invalid" }
  | { readonly kind: "foreign"; readonly sequence: number }
  | { readonly kind: "valid"; readonly table: KeyTable<Key>; readonly kek: Kek };

/** Where the copy with that sequence number lies in the file: they take turns. */
export function placeOf(sequence: number): 0 | 1 {
  return sequence % 2 === 0 ? 0 : 1;
}

/** The bytes of a copy, whole units only as far as used. */
export function encodeKeyTable(kek: NamedKek, table: KeyTable<unknown>): Uint8Array {
  assert(table.keys.length <= dataKeysMax, "CRY-03: data keys at most");
  const used = entriesAt + table.keys.length * entryBytes;
  const bytes = new Uint8Array(Math.ceil(used / 4096) * 4096);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, magic, true);
  view.setUint32(4, version, true);
  writeU64(view, 8, table.sequence);
  bytes.set(kek.id, 16);
  view.setUint32(32, table.nextId, true);
  view.setUint32(36, table.keys.length, true);
  let at = entriesAt;
  for (const key of table.keys) {
    view.setUint32(at, key.id, true);
    view.setUint32(at + 4, key.purpose === "wal" ? 1 : 2, true);
    assert(key.wrapped.length === wrappedBytes, "CRY-03: a wrapped key has 60 bytes");
    bytes.set(key.wrapped, at + 8);
    at += entryBytes;
  }
  bytes.set(sha256Bytes(bytes.subarray(0, used)), hashAt);
  return bytes;
}

/** Reads one copy; the first of `keks` that it names unwraps it. */
export function decodeKeyTable<Kek extends NamedKek, Key>(
  wrapping: KeyWrapping<Kek, Key>,
  bytes: Uint8Array,
  keks: readonly Kek[],
): KeyTableCopy<Kek, Key> {
  if (bytes.subarray(0, entriesAt).every((byte) => byte === 0)) return { kind: "blank" };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = view.getUint32(36, true);
  const used = entriesAt + count * entryBytes;
  if (view.getUint32(0, true) !== magic || count > dataKeysMax || used > bytes.length) {
    return { kind: "invalid" };
  }
  const scratch = bytes.slice(0, used);
  scratch.fill(0, hashAt, hashAt + 32);
  const sound = bytesEqual(sha256Bytes(scratch), bytes.subarray(hashAt, hashAt + 32));
  if (!sound || view.getUint32(4, true) !== version) return { kind: "invalid" };
  const sequence = readU64(view, 8);
  const named = bytes.subarray(16, 32);
  const kek = keks.find((candidate) => bytesEqual(candidate.id, named));
  if (kek === undefined) return { kind: "foreign", sequence };
  const keys: DataKey<Key>[] = [];
  for (let at = entriesAt; at < used; at += entryBytes) {
    const purpose = view.getUint32(at + 4, true) === 1 ? "wal" : "segment";
    const wrapped = bytes.slice(at + 8, at + 8 + wrappedBytes);
    const id = view.getUint32(at, true);
    const key = wrapping.unwrap(kek, id, purpose, wrapped);
    if (key === null) return { kind: "invalid" };
    keys.push({ id, purpose, key, wrapped });
  }
  return { kind: "valid", kek, table: { sequence, nextId: view.getUint32(32, true), keys } };
}
