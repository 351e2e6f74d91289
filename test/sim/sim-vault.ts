import { crc32 } from "#replica/crypto/hash.ts";
import type { CopyWrite, KeyRing } from "#replica/crypto/key-ring.ts";
import { type KeyWrapping, type NamedKek, wrappedBytes } from "#replica/crypto/key-table.ts";
import type { Sealed, Vault, VaultPurpose } from "#replica/crypto/vault.ts";
import type { KeyDisk, KeyWriteFate } from "./key-disk.ts";

/** Bytes at the beginning of a plaintext that its ciphertext hides. */
const maskedBytes = 64;

/** A key-encryption key of the simulation. */
export interface SimKek extends NamedKek {
  readonly number: number;
}

/** The key-encryption key of a number. */
export function simKek(number: number): SimKek {
  const id = new Uint8Array(16).fill(0xee);
  new DataView(id.buffer).setUint32(0, number, true);
  return { id, number };
}

/** A data key's secret stands for 32 random bytes: never the same twice in a run. */
export function simWrapping(secret: () => number): KeyWrapping<SimKek, number> {
  return {
    make: secret,
    wrap(kek, id, purpose, key) {
      const bytes = new Uint8Array(wrappedBytes);
      const view = new DataView(bytes.buffer);
      view.setUint32(0, kek.number, true);
      view.setUint32(4, id, true);
      view.setUint32(8, purpose === "wal" ? 1 : 2, true);
      view.setUint32(12, key, true);
      return bytes;
    },
    unwrap(kek, id, purpose, bytes) {
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      const right = view.getUint32(0, true) === kek.number && view.getUint32(4, true) === id;
      const fits = view.getUint32(8, true) === (purpose === "wal" ? 1 : 2);
      return right && fits ? view.getUint32(12, true) : null;
    },
  };
}

/** Power fails while the process waits for a write of its keys: nothing after it happens. */
export class PowerCut extends Error {
  override readonly name = "PowerCut";
}

/** What a vault tells and takes. */
export interface VaultWorld {
  readonly later: (run: () => void) => void;
  /** Something was sealed: for the checkers of nonces and keys. */
  readonly sealed: (purpose: VaultPurpose, id: number, secret: number, counter: number) => void;
  /** The log's key changes; older ones that it needs. */
  readonly rotates: (keep: readonly number[]) => void;
  /** A fresh key for the log is in use. */
  readonly rotated: () => void;
  /** What befalls the write that is under way. */
  readonly fate: () => KeyWriteFate;
  /** Power is cut during the write that is under way. */
  readonly cut: () => boolean;
}

/**
 * Encryption of the simulator: cheap and deterministic, and it does notice other keys, other
 * places and damage. Keys are made, kept and written by production's {@link KeyRing}.
 */
export class SimVault implements Vault {
  readonly ring: KeyRing<SimKek, number>;
  private readonly world: VaultWorld;
  private readonly disk: KeyDisk;

  constructor(world: VaultWorld, ring: KeyRing<SimKek, number>, disk: KeyDisk) {
    this.world = world;
    this.ring = ring;
    this.disk = disk;
  }

  /** Takes this boot's key. */
  boot(): void {
    this.writeNow(this.ring.boot());
  }

  seal(purpose: VaultPurpose, aad: Uint8Array, plain: Uint8Array): Sealed {
    this.writeNow(this.ring.need(purpose));
    const { id, key, counter } = this.ring.take(purpose);
    this.world.sealed(purpose, id, key, counter);
    const cipher = masked(plain, key * 31 + counter);
    return { keyId: id, counter, tag: tagOf(key, counter, aad, cipher), cipher };
  }

  open(sealed: Sealed, aad: Uint8Array): Uint8Array | null {
    const key = this.ring.key(sealed.keyId);
    if (key === null) return null;
    const tag = tagOf(key, sealed.counter, aad, sealed.cipher);
    for (let i = 0; i < tag.length; i += 1) if (tag[i] !== sealed.tag[i]) return null;
    return masked(sealed.cipher, key * 31 + sealed.counter);
  }

  rotate(keep: readonly number[], done: (r: "ok" | "error") => void): void {
    this.writeNow(this.ring.need("segment"));
    const first = this.ring.rotate(keep);
    if (first === null) {
      this.world.later(() => done("ok"));
      return;
    }
    this.world.rotates(keep);
    this.writeLater(first, () => {
      this.world.rotated();
      done("ok");
    });
  }

  /** Another key wraps the table from now on. */
  rewrap(kek: SimKek): "rewrapped" | "same" | "busy" {
    const first = this.ring.rewrap(kek);
    if (first === "same" || first === "busy") return first;
    this.writeNow(first);
    return "rewrapped";
  }

  private writeNow(first: CopyWrite | null): void {
    for (let copy = first; copy !== null; copy = this.ring.wrote()) {
      this.disk.begin(copy);
      if (this.world.cut()) throw new PowerCut("while the data keys are written");
      this.disk.finish(this.world.fate());
    }
  }

  private writeLater(copy: CopyWrite, done: () => void): void {
    this.disk.begin(copy);
    this.world.later(() => {
      this.disk.finish(this.world.fate());
      const next = this.ring.wrote();
      if (next === null) done();
      else this.writeLater(next, done);
    });
  }
}

/** Room for many small texts: each in a buffer of its own costs ten times as much. */
const slabBytes = 256 * 1024;
let slab = new Uint8Array(slabBytes);
let slabUsed = 0;

function carve(bytes: number): Uint8Array {
  if (bytes > slabBytes / 8) return new Uint8Array(bytes);
  if (slabUsed + bytes > slabBytes) {
    slab = new Uint8Array(slabBytes);
    slabUsed = 0;
  }
  // At a multiple of eight, as a buffer of its own would lie.
  const at = slabUsed;
  slabUsed = (at + bytes + 7) & ~7;
  return slab.subarray(at, at + bytes);
}

/**
 * Only the beginning is made unreadable, where headers stand: the tag notices everything, and who
 * takes ciphertext for plaintext fails there.
 */
function masked(bytes: Uint8Array, mask: number): Uint8Array {
  const out = carve(bytes.length);
  out.set(bytes);
  const end = Math.min(out.length, maskedBytes);
  for (let i = 0; i < end; i += 1) out[i] = (out[i] ?? 0) ^ (mask & 255);
  return out;
}

function tagOf(secret: number, counter: number, aad: Uint8Array, cipher: Uint8Array): Uint8Array {
  const tag = new Uint8Array(16);
  const view = new DataView(tag.buffer);
  view.setUint32(0, secret >>> 0, true);
  view.setUint32(4, counter >>> 0, true);
  view.setUint32(8, crc32(aad), true);
  view.setUint32(12, crc32(cipher), true);
  return tag;
}
