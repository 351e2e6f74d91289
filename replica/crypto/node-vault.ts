import { createCipheriv, createDecipheriv } from "node:crypto";
import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  write,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { assert } from "#replica/base/assert.ts";
import { bytesEqual, bytesFromHex } from "#replica/base/bytes.ts";
import type { Result } from "#replica/base/result.ts";
import { fail, ok } from "#replica/base/result.ts";
import { writeDurably } from "./disk-write-error.ts";
import {
  type DataKey,
  dataKeysMax,
  decodeKeyTable,
  encodeKeyTable,
  type KeyTable,
  makeDataKey,
  rewrapDataKey,
  tableCopyBytes,
  type WrappingKey,
  wrappingKeyFrom,
} from "./key-table.ts";
import { NonceCounter } from "./nonce-counter.ts";
import type { Sealed, Vault, VaultPurpose } from "./vault.ts";

const tagBytes = 16;
const nonceBytes = 12;

/** Where a vault keeps its wrapped data keys and what unwraps them. */
export interface NodeVaultOptions {
  /** The table's file, made when absent: `keys/data-keys` of the data directory. */
  readonly file: string;
  /**
   * Content of the key-encryption file: 64 hex digits; more lines may hold former keys, and a
   * table that only one of them opens is rewrapped under the first.
   */
  readonly kek: string;
  /** Path of that file, for sentences. */
  readonly kekFile: string;
  /** True: makes nothing and seals nothing (inspect). */
  readonly readOnly?: boolean;
}

interface Current {
  readonly key: DataKey;
  readonly nonces: NonceCounter;
}

/** AES-256-GCM under fresh random data keys, wrapped by the key-encryption key in a small table. */
export class NodeVault implements Vault {
  private readonly fd: number | null;
  private kek: WrappingKey;
  private readonly keys = new Map<number, DataKey>();
  private readonly current = new Map<VaultPurpose, Current>();
  private readonly nonce = new Uint8Array(nonceBytes);
  private readonly nonceView = new DataView(this.nonce.buffer);
  private sequence: number;
  private nextId: number;
  private rotating = false;

  private constructor(fd: number | null, kek: WrappingKey, table: KeyTable) {
    this.fd = fd;
    this.kek = kek;
    this.sequence = table.sequence;
    this.nextId = table.nextId;
    for (const key of table.keys) this.keys.set(key.id, key);
  }

  /** Opens or makes the table, and makes this boot's keys durable. `reason` is a sentence. */
  static open(options: NodeVaultOptions): Result<NodeVault> {
    const keks = parseKeks(options.kek);
    const first = keks?.[0];
    if (keks === null || first === undefined) {
      return fail(malformedKek(options.kekFile));
    }
    const found = readTable(options.file, options.kekFile, keks);
    if (!found.ok) return found;
    const { table, kek } = found.value;
    if (options.readOnly === true) return ok(new NodeVault(null, kek ?? first, table));
    const old = kek !== null && !bytesEqual(kek.id, first.id);
    const keys = old ? table.keys.map((key) => rewrapDataKey(first, key)) : table.keys;
    if (keys.length + 2 > dataKeysMax) {
      return fail(`${options.file} holds ${keys.length} data keys and has no room for a boot.`);
    }
    const vault = new NodeVault(openTable(options.file), first, { ...table, keys });
    vault.addSync("wal");
    return ok(vault);
  }

  seal(purpose: VaultPurpose, aad: Uint8Array, plain: Uint8Array): Sealed {
    // A boot that writes no segment costs no key: the table has few places.
    if (!this.current.has(purpose)) this.addSync(purpose);
    const current = this.current.get(purpose);
    assert(current !== undefined, "CRY-04: a key of this boot");
    const { key } = current;
    const counter = current.nonces.next();
    const cipher = createCipheriv("aes-256-gcm", key.key, this.nonceOf(counter), {
      authTagLength: tagBytes,
    });
    cipher.setAAD(aad);
    const bytes = cipher.update(plain);
    cipher.final();
    return { keyId: key.id, counter, tag: cipher.getAuthTag(), cipher: bytes };
  }

  open(sealed: Sealed, aad: Uint8Array): Uint8Array | null {
    const key = this.keys.get(sealed.keyId);
    if (key === undefined || sealed.tag.length !== tagBytes) return null;
    const decipher = createDecipheriv("aes-256-gcm", key.key, this.nonceOf(sealed.counter), {
      authTagLength: tagBytes,
    });
    decipher.setAAD(aad);
    decipher.setAuthTag(sealed.tag);
    try {
      const plain = decipher.update(sealed.cipher);
      decipher.final();
      return plain;
    } catch {
      return null;
    }
  }

  rotate(keep: readonly number[], done: (r: "ok" | "error") => void): void {
    if (this.rotating || this.fd === null) {
      setImmediate(done, "ok");
      return;
    }
    this.rotating = true;
    const fresh = makeDataKey(this.kek, this.nextId, "wal");
    this.nextId += 1;
    const kept = new Set(keep);
    const now = this.current.get("wal")?.key.id;
    for (const key of this.keys.values()) {
      if (key.purpose === "wal" && key.id !== now && !kept.has(key.id)) this.keys.delete(key.id);
    }
    this.keys.set(fresh.id, fresh);
    const { bytes, offset } = this.nextCopy();
    write(this.fd, bytes, 0, bytes.length, offset, (error, written) => {
      this.rotating = false;
      const durable = error === null && written === bytes.length;
      if (durable) this.current.set("wal", { key: fresh, nonces: new NonceCounter() });
      done(durable ? "ok" : "error");
    });
  }

  /**
   * The key-encryption file has changed to this content: wraps the table under the first key in it,
   * both copies, and takes a fresh data key for segments, so that what is written from now on is
   * under keys that the former key never wrapped. "same": that key wraps it already; "busy": try
   * again. `reason` is a sentence; nothing has changed then.
   */
  rewrap(kek: string, kekFile: string): Result<"rewrapped" | "same" | "busy"> {
    const first = parseKeks(kek)?.[0];
    if (first === undefined) return fail(malformedKek(kekFile));
    if (bytesEqual(first.id, this.kek.id)) return ok("same");
    if (this.rotating || this.fd === null) return ok("busy");
    this.kek = first;
    for (const key of this.keys.values()) this.keys.set(key.id, rewrapDataKey(first, key));
    // The second write takes the former key out of the other copy.
    for (let copy = 0; copy < 2; copy += 1) this.writeSync(this.fd);
    this.current.delete("segment");
    return ok("rewrapped");
  }

  /** Data keys held, for metrics and tests. */
  get keysCount(): number {
    return this.keys.size;
  }

  /** Closes the table's file. */
  close(): void {
    if (this.fd !== null) closeSync(this.fd);
  }

  /** A key is used only after its wrapped form is durable. */
  private addSync(purpose: VaultPurpose): void {
    assert(this.fd !== null, "CRY-04: a read-only vault seals nothing");
    const key = makeDataKey(this.kek, this.nextId, purpose);
    this.nextId += 1;
    this.keys.set(key.id, key);
    this.writeSync(this.fd);
    this.current.set(purpose, { key, nonces: new NonceCounter() });
  }

  private writeSync(fd: number): void {
    const { bytes, offset } = this.nextCopy();
    writeDurably("keys/data-keys", () => {
      const written = writeSync(fd, bytes, 0, bytes.length, offset);
      if (written !== bytes.length) throw new Error("short write of the data keys' table");
    });
  }

  private nextCopy(): { readonly bytes: Uint8Array; readonly offset: number } {
    this.sequence += 1;
    const { sequence, nextId } = this;
    const bytes = encodeKeyTable(this.kek, { sequence, nextId, keys: [...this.keys.values()] });
    return { bytes, offset: (sequence % 2) * tableCopyBytes };
  }

  /** One buffer for all calls: node:crypto copies the nonce when the cipher is made. */
  private nonceOf(counter: number): Uint8Array {
    this.nonceView.setUint32(4, counter % 2 ** 32, true);
    this.nonceView.setUint32(8, Math.floor(counter / 2 ** 32), true);
    return this.nonce;
  }
}

function malformedKek(file: string): string {
  return `${file}: the key-encryption key must be 64 hex digits on a line of its own.`;
}

function parseKeks(text: string): readonly WrappingKey[] | null {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  if (lines.length === 0) return null;
  if (lines.some((line) => !/^[0-9a-fA-F]{64}$/.test(line.trim()))) return null;
  return lines.map((line) => wrappingKeyFrom(bytesFromHex(line.trim())));
}

interface FoundTable {
  readonly table: KeyTable;
  /** Key that opened it; null for a new table. */
  readonly kek: WrappingKey | null;
}

function readTable(
  file: string,
  kekFile: string,
  keks: readonly WrappingKey[],
): Result<FoundTable> {
  const blank: FoundTable = { table: { sequence: 0, nextId: 1, keys: [] }, kek: null };
  if (!existsSync(file)) return ok(blank);
  const bytes = new Uint8Array(2 * tableCopyBytes);
  bytes.set(readFileSync(file).subarray(0, bytes.length));
  const copies = [0, 1].map((copy) => {
    return decodeKeyTable(bytes.subarray(copy * tableCopyBytes, (copy + 1) * tableCopyBytes), keks);
  });
  let best: FoundTable | null = null;
  let foreign = -1;
  for (const copy of copies) {
    if (copy.kind === "foreign") foreign = Math.max(foreign, copy.sequence);
    if (copy.kind !== "valid") continue;
    if (best === null || copy.table.sequence > best.table.sequence) best = copy;
  }
  if (foreign > (best?.table.sequence ?? -1)) {
    return fail(
      `The key-encryption key in ${kekFile} is not the one that wrapped ${file}; ` +
        "put the right one there, or add the former one as a further line below the new one.",
    );
  }
  if (best !== null) return ok(best);
  if (copies.every((copy) => copy.kind === "blank")) return ok(blank);
  return fail(`${file} is damaged in both copies; replace this replica's volume.`);
}

/** Opens the table for durable writes; a new one is zero-filled first, its directory synced. */
function openTable(file: string): number {
  const { O_CREAT, O_DSYNC, O_RDWR } = constants;
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  if (!existsSync(file)) {
    const made = openSync(file, O_CREAT | O_RDWR, 0o600);
    writeSync(made, new Uint8Array(2 * tableCopyBytes), 0, 2 * tableCopyBytes, 0);
    fsyncSync(made);
    closeSync(made);
    const directory = openSync(dirname(file), constants.O_RDONLY);
    fsyncSync(directory);
    closeSync(directory);
  }
  return openSync(file, O_RDWR | O_DSYNC);
}
