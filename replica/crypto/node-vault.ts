import { createCipheriv, createDecipheriv, type KeyObject } from "node:crypto";
import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  write,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { assert } from "#replica/base/assert.ts";
import { bytesFromHex } from "#replica/base/bytes.ts";
import type { Result } from "#replica/base/result.ts";
import { fail, ok } from "#replica/base/result.ts";
import { writeDurably } from "./disk-write-error.ts";
import { aesWrapping, type WrappingKey, wrappingKeyFrom } from "./aes-wrapping.ts";
import { type CopyWrite, KeyRing } from "./key-ring.ts";
import { tableCopyBytes } from "./key-table.ts";
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

type Keks = readonly [WrappingKey, ...WrappingKey[]];

/**
 * AES-256-GCM under fresh random data keys, wrapped by the key-encryption key in a small table.
 * What happens to that table {@link KeyRing} decides; this class has the cipher and the file.
 */
export class NodeVault implements Vault {
  private readonly fd: number | null;
  private readonly ring: KeyRing<WrappingKey, KeyObject>;
  private readonly nonce = new Uint8Array(nonceBytes);
  private readonly nonceView = new DataView(this.nonce.buffer);

  private constructor(fd: number | null, ring: KeyRing<WrappingKey, KeyObject>) {
    this.fd = fd;
    this.ring = ring;
  }

  /** Opens or makes the table, and makes this boot's keys durable. `reason` is a sentence. */
  static open(options: NodeVaultOptions): Result<NodeVault> {
    const { file, kekFile } = options;
    const keks = parseKeks(options.kek);
    if (keks === null) return fail(malformedKek(kekFile));
    const opening = KeyRing.open(aesWrapping, keks, readCopies(file));
    if (!opening.ok) return fail(refusal(opening.reason, file, kekFile));
    const { ring, state } = opening;
    if (options.readOnly === true) return ok(new NodeVault(null, ring));
    const first = ring.boot();
    if (first === null) {
      return fail(`${file} holds ${ring.size} data keys and has no room for a boot.`);
    }
    const fd = state === "blank" ? makeTable(file, ring, first) : openTable(file);
    if (state !== "blank") writeAllSync(fd, ring, first);
    return ok(new NodeVault(fd, ring));
  }

  seal(purpose: VaultPurpose, aad: Uint8Array, plain: Uint8Array): Sealed {
    // A boot that writes no segment costs no key: the table has few places.
    this.need(purpose);
    const { id, key, counter } = this.ring.take(purpose);
    const cipher = createCipheriv("aes-256-gcm", key, this.nonceOf(counter), {
      authTagLength: tagBytes,
    });
    cipher.setAAD(aad);
    const bytes = cipher.update(plain);
    cipher.final();
    return { keyId: id, counter, tag: cipher.getAuthTag(), cipher: bytes };
  }

  open(sealed: Sealed, aad: Uint8Array): Uint8Array | null {
    const key = this.ring.key(sealed.keyId);
    if (key === null || sealed.tag.length !== tagBytes) return null;
    const decipher = createDecipheriv("aes-256-gcm", key, this.nonceOf(sealed.counter), {
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
    const { fd } = this;
    // Segments have their key first: a seal must not wait for the table while it is written.
    if (fd !== null) this.need("segment");
    const first = fd === null ? null : this.ring.rotate(keep);
    if (fd === null || first === null) {
      setImmediate(done, "ok");
      return;
    }
    this.writeAll(fd, first, done);
  }

  /**
   * The key-encryption file has changed to this content: wraps the table under the first key in it,
   * both copies, and takes a fresh data key for segments, so that what is written from now on is
   * under keys that the former key never wrapped. "same": that key wraps it already; "busy": try
   * again. `reason` is a sentence; nothing has changed then.
   */
  rewrap(kek: string, kekFile: string): Result<"rewrapped" | "same" | "busy"> {
    const keks = parseKeks(kek);
    if (keks === null) return fail(malformedKek(kekFile));
    if (this.fd === null) return ok("busy");
    const first = this.ring.rewrap(keks[0]);
    if (first === "same" || first === "busy") return ok(first);
    writeAllSync(this.fd, this.ring, first);
    return ok("rewrapped");
  }

  /** Data keys held, for metrics and tests. */
  get keysCount(): number {
    return this.ring.size;
  }

  /** Closes the table's file. */
  close(): void {
    if (this.fd !== null) closeSync(this.fd);
  }

  private need(purpose: VaultPurpose): void {
    assert(this.fd !== null, "CRY-04: a read-only vault seals nothing");
    const first = this.ring.need(purpose);
    if (first !== null) writeAllSync(this.fd, this.ring, first);
  }

  /** After an error the table is not touched again: the volume is poisoned. */
  private writeAll(fd: number, copy: CopyWrite, done: (r: "ok" | "error") => void): void {
    const { bytes, place } = copy;
    write(fd, bytes, 0, bytes.length, place * tableCopyBytes, (error, written) => {
      if (error !== null || written !== bytes.length) {
        done("error");
        return;
      }
      const next = this.ring.wrote();
      if (next === null) done("ok");
      else this.writeAll(fd, next, done);
    });
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

function refusal(reason: "foreign" | "damaged", file: string, kekFile: string): string {
  if (reason === "damaged") {
    return `${file} is damaged in both copies; replace this replica's volume.`;
  }
  return (
    `The key-encryption key in ${kekFile} is not the one that wrapped ${file}; ` +
    "put the right one there, or add the former one as a further line below the new one."
  );
}

function parseKeks(text: string): Keks | null {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  if (lines.some((line) => !/^[0-9a-fA-F]{64}$/.test(line.trim()))) return null;
  const [first, ...more] = lines.map((line) => wrappingKeyFrom(bytesFromHex(line.trim())));
  return first === undefined ? null : [first, ...more];
}

function readCopies(file: string): readonly [Uint8Array, Uint8Array] {
  const bytes = new Uint8Array(2 * tableCopyBytes);
  if (existsSync(file)) bytes.set(readFileSync(file).subarray(0, bytes.length));
  return [bytes.subarray(0, tableCopyBytes), bytes.subarray(tableCopyBytes)];
}

/** Writes a whole change, its first write given, and has it hold. */
function writeAllSync(fd: number, ring: KeyRing<WrappingKey, KeyObject>, first: CopyWrite): void {
  for (let copy: CopyWrite | null = first; copy !== null; copy = ring.wrote()) {
    const { bytes, place } = copy;
    writeDurably("keys/data-keys", () => {
      const written = writeSync(fd, bytes, 0, bytes.length, place * tableCopyBytes);
      if (written !== bytes.length) throw new Error("short write of the data keys' table");
    });
  }
}

function openTable(file: string): number {
  return openSync(file, constants.O_RDWR | constants.O_DSYNC);
}

/**
 * Makes the file with its first keys under another name and renames it: a table whose very first
 * write was torn would be told from a damaged one by nothing.
 */
function makeTable(file: string, ring: KeyRing<WrappingKey, KeyObject>, first: CopyWrite): number {
  const { O_CREAT, O_RDONLY, O_RDWR, O_TRUNC } = constants;
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const fresh = `${file}.new`;
  const made = openSync(fresh, O_CREAT | O_RDWR | O_TRUNC, 0o600);
  writeSync(made, new Uint8Array(2 * tableCopyBytes), 0, 2 * tableCopyBytes, 0);
  fsyncSync(made);
  closeSync(made);
  const fd = openTable(fresh);
  writeAllSync(fd, ring, first);
  renameSync(fresh, file);
  const directory = openSync(dirname(file), O_RDONLY);
  fsyncSync(directory);
  closeSync(directory);
  return fd;
}
