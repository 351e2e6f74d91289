import { crc32 } from "#replica/crypto/hash.ts";
import { NonceCounter } from "#replica/crypto/nonce-counter.ts";
import type { Sealed, Vault, VaultPurpose } from "#replica/crypto/vault.ts";

/** Bytes at the beginning of a plaintext that its ciphertext hides. */
const maskedBytes = 64;

interface DataKey {
  readonly id: number;
  readonly purpose: VaultPurpose;
  /** Stands for 32 random bytes: never the same twice in a run. */
  readonly secret: number;
}

/** The wrapped keys as they lie on the volume. */
export interface SimKeyTable {
  readonly nextId: number;
  readonly keys: readonly DataKey[];
}

/** What a vault tells and takes. */
export interface VaultWorld {
  readonly secret: () => number;
  readonly later: (run: () => void) => void;
  /** Something was sealed: for the checker of nonces. */
  readonly sealed: (secret: number, counter: number) => void;
  /** A fresh key for the log is in use. */
  readonly rotated: () => void;
}

/**
 * Encryption of the simulator: cheap and deterministic, and it does notice other keys, other
 * places and damage. Keys are made and kept by the rules of the production vault.
 */
export class SimVault implements Vault {
  private readonly world: VaultWorld;
  private keys: Map<number, DataKey>;
  private nextId: number;
  private current = new Map<VaultPurpose, { key: DataKey; counter: NonceCounter }>();

  /** `table`: what the volume holds; null at format. */
  constructor(world: VaultWorld, table: SimKeyTable | null) {
    this.world = world;
    this.nextId = table?.nextId ?? 1;
    this.keys = new Map((table?.keys ?? []).map((key) => [key.id, key]));
    this.add("wal");
  }

  /** What lies on the volume now. */
  get table(): SimKeyTable {
    return { nextId: this.nextId, keys: [...this.keys.values()] };
  }

  seal(purpose: VaultPurpose, aad: Uint8Array, plain: Uint8Array): Sealed {
    if (!this.current.has(purpose)) this.add(purpose);
    const current = this.current.get(purpose);
    if (current === undefined) throw new Error("sim: no key");
    const { key } = current;
    const counter = current.counter.next();
    this.world.sealed(key.secret, counter);
    const cipher = masked(plain, key.secret * 31 + counter);
    return { keyId: key.id, counter, tag: tagOf(key.secret, counter, aad, cipher), cipher };
  }

  open(sealed: Sealed, aad: Uint8Array): Uint8Array | null {
    const key = this.keys.get(sealed.keyId);
    if (key === undefined) return null;
    const tag = tagOf(key.secret, sealed.counter, aad, sealed.cipher);
    for (let i = 0; i < tag.length; i += 1) if (tag[i] !== sealed.tag[i]) return null;
    return masked(sealed.cipher, key.secret * 31 + sealed.counter);
  }

  rotate(keep: readonly number[], done: (r: "ok" | "error") => void): void {
    const kept = new Set(keep);
    const now = this.current.get("wal")?.key.id;
    for (const key of this.keys.values()) {
      if (key.purpose === "wal" && key.id !== now && !kept.has(key.id)) this.keys.delete(key.id);
    }
    const key = this.make("wal");
    this.world.later(() => {
      this.current.set("wal", { key, counter: new NonceCounter() });
      this.world.rotated();
      done("ok");
    });
  }

  /** Another key wraps the table: segments get a data key that the former one never wrapped. */
  rewrap(): void {
    if (this.current.has("segment")) this.add("segment");
  }

  private add(purpose: VaultPurpose): void {
    this.current.set(purpose, { key: this.make(purpose), counter: new NonceCounter() });
  }

  private make(purpose: VaultPurpose): DataKey {
    const key = { id: this.nextId, purpose, secret: this.world.secret() };
    this.nextId += 1;
    this.keys.set(key.id, key);
    return key;
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
