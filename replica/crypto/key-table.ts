import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from "node:crypto";
import { assert } from "#replica/base/assert.ts";
import { bytesEqual, readU64, writeU64 } from "#replica/base/bytes.ts";
import { random, sha256Bytes } from "./hash.ts";
import type { VaultPurpose } from "./vault.ts";

// The file has two copies of 512 KiB, written in turn. A copy: magic u32, version u32, sequence
// u64, KEK id 16, next key id u32, count u32, zeros to 64, SHA-256 of header (hash as zeros) and
// entries 32, zeros to 128, entries. Entry, 72 bytes: key id u32, purpose u32, nonce 12, wrapped
// key 32, tag 16, zeros 4.
const magic = 0x544b4754; // "TGKT"
const version = 1;
const hashAt = 64;
const entriesAt = 128;
const entryBytes = 72;
const wrapNonceBytes = 12;
const keyBytes = 32;
const tagBytes = 16;

/** Bytes of one copy of the table. */
export const tableCopyBytes = 512 * 1024;
/** Data keys that a table holds at most. */
export const dataKeysMax = Math.floor((tableCopyBytes - entriesAt) / entryBytes);

/** A data key with its wrapped form. */
export interface DataKey {
  readonly id: number;
  readonly purpose: VaultPurpose;
  readonly key: KeyObject;
  /** Nonce, wrapped key, tag: 60 bytes. */
  readonly wrapped: Uint8Array;
}

/** One key-encryption key: AES-256, and a name that reveals nothing of it. */
export interface WrappingKey {
  readonly key: KeyObject;
  /** First 16 bytes of SHA-256("tigerchat kek", key). */
  readonly id: Uint8Array;
}

/** A table's content. */
export interface KeyTable {
  readonly sequence: number;
  readonly nextId: number;
  readonly keys: readonly DataKey[];
}

/** What a copy turned out to be. `foreign`: wrapped by none of the keys given. */
export type KeyTableCopy =
  | { readonly kind: "blank" | "invalid" }
  | { readonly kind: "foreign"; readonly sequence: number }
  | { readonly kind: "valid"; readonly table: KeyTable; readonly kek: WrappingKey };

/** The wrapping key of 32 bytes. */
export function wrappingKeyFrom(bytes: Uint8Array): WrappingKey {
  assert(bytes.length === keyBytes, "CRY-03: a KEK of 32 bytes");
  const id = sha256Bytes(Buffer.concat([Buffer.from("tigerchat kek"), bytes])).subarray(0, 16);
  return { key: createSecretKey(bytes), id };
}

function wrapAad(id: number, purpose: VaultPurpose): Uint8Array {
  return Buffer.from(`tigerchat data key ${id} ${purpose}`);
}

/** A fresh random data key, wrapped. The raw bytes are not kept. */
export function makeDataKey(kek: WrappingKey, id: number, purpose: VaultPurpose): DataKey {
  const raw = random(keyBytes);
  const key = createSecretKey(raw);
  const wrapped = wrap(kek, id, purpose, raw);
  raw.fill(0);
  return { id, purpose, key, wrapped };
}

function wrap(kek: WrappingKey, id: number, purpose: VaultPurpose, raw: Uint8Array): Uint8Array {
  const nonce = random(wrapNonceBytes);
  const cipher = createCipheriv("aes-256-gcm", kek.key, nonce, { authTagLength: tagBytes });
  cipher.setAAD(wrapAad(id, purpose));
  return Buffer.concat([nonce, cipher.update(raw), cipher.final(), cipher.getAuthTag()]);
}

/** The same data key under another wrapping key: what rotation of the KEK does. */
export function rewrapDataKey(kek: WrappingKey, key: DataKey): DataKey {
  const raw = key.key.export();
  const wrapped = wrap(kek, key.id, key.purpose, raw);
  raw.fill(0);
  return { ...key, wrapped };
}

function unwrap(
  kek: WrappingKey,
  id: number,
  purpose: VaultPurpose,
  wrapped: Uint8Array,
): DataKey | null {
  const nonce = wrapped.subarray(0, wrapNonceBytes);
  const decipher = createDecipheriv("aes-256-gcm", kek.key, nonce, { authTagLength: tagBytes });
  decipher.setAAD(wrapAad(id, purpose));
  decipher.setAuthTag(wrapped.subarray(wrapNonceBytes + keyBytes));
  try {
    const raw = Buffer.concat([
      decipher.update(wrapped.subarray(wrapNonceBytes, wrapNonceBytes + keyBytes)),
      decipher.final(),
    ]);
    const key = createSecretKey(raw);
    raw.fill(0);
    return { id, purpose, key, wrapped: wrapped.slice() };
  } catch {
    return null;
  }
}

/** The bytes of a copy, whole units only as far as used. */
export function encodeKeyTable(kek: WrappingKey, table: KeyTable): Uint8Array {
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
    bytes.set(key.wrapped, at + 8);
    at += entryBytes;
  }
  bytes.set(sha256Bytes(bytes.subarray(0, used)), hashAt);
  return bytes;
}

/** Reads one copy; the first of `keks` that it names unwraps it. */
export function decodeKeyTable(bytes: Uint8Array, keks: readonly WrappingKey[]): KeyTableCopy {
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
  const keys: DataKey[] = [];
  for (let at = entriesAt; at < used; at += entryBytes) {
    const purpose = view.getUint32(at + 4, true) === 1 ? "wal" : "segment";
    const wrapped = bytes.subarray(at + 8, at + 8 + wrapNonceBytes + keyBytes + tagBytes);
    const key = unwrap(kek, view.getUint32(at, true), purpose, wrapped);
    if (key === null) return { kind: "invalid" };
    keys.push(key);
  }
  return { kind: "valid", kek, table: { sequence, nextId: view.getUint32(32, true), keys } };
}
