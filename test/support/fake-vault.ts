import { crc32 } from "#replica/crypto/hash.ts";
import type { Sealed, Vault, VaultPurpose } from "#replica/crypto/vault.ts";

/** Encryption for tests: cheap, deterministic, and it does notice other keys and damage. */
export class FakeVault implements Vault {
  /** Every (key, nonce) that sealed something: the same pair twice is a bug. */
  readonly used = new Set<string>();
  private keyId = 0;
  private counter = 0;

  /** A restart of the process: a fresh key. */
  boot(): this {
    this.keyId += 1;
    this.counter = 0;
    return this;
  }

  seal(_purpose: VaultPurpose, aad: Uint8Array, plain: Uint8Array): Sealed {
    this.counter += 1;
    const pair = `${this.keyId}/${this.counter}`;
    if (this.used.has(pair)) throw new Error(`nonce ${pair} used twice`);
    this.used.add(pair);
    const cipher = xor(plain, this.keyId * 31 + this.counter);
    const tag = tagOf(this.keyId, this.counter, aad, cipher);
    return { keyId: this.keyId, counter: this.counter, tag, cipher };
  }

  open(sealed: Sealed, aad: Uint8Array): Uint8Array | null {
    const tag = tagOf(sealed.keyId, sealed.counter, aad, sealed.cipher);
    if (sealed.keyId > this.keyId || !Buffer.from(tag).equals(sealed.tag)) return null;
    return xor(sealed.cipher, sealed.keyId * 31 + sealed.counter);
  }

  rotate(_keep: readonly number[], done: (r: "ok" | "error") => void): void {
    this.boot();
    queueMicrotask(() => done("ok"));
  }
}

function xor(bytes: Uint8Array, mask: number): Uint8Array {
  const out = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i += 1) out[i] = (bytes[i] ?? 0) ^ mask;
  return out;
}

function tagOf(keyId: number, counter: number, aad: Uint8Array, cipher: Uint8Array): Uint8Array {
  const tag = Buffer.alloc(16);
  tag.writeUInt32LE(keyId, 0);
  tag.writeUInt32LE(counter, 4);
  tag.writeUInt32LE(crc32(aad), 8);
  tag.writeUInt32LE(crc32(cipher), 12);
  return tag;
}
