import { treeHashBytes } from "#replica/proof/merkle.ts";
import type { HashInto } from "#replica/proof/hash-many.ts";
import type { Peaks } from "#replica/proof/peaks.ts";
import { blindBytes, blindDomain, recordBytes, secretDomain } from "#replica/proof/room-record.ts";

const nameFixedBytes = 4;
const seedBytes = 16;
const namesBytesMax = 2 + 2 * 255;

/**
 * Hashes of rooms' records in the shard's log: what replica/proof/room-record.ts describes, in
 * reused buffers, because with many quiet rooms there is one a message.
 */
export class RecordHasher {
  private readonly hash: HashInto;
  private readonly seed: () => Uint8Array;
  /** Domain, seed, names. */
  private readonly secret = new Uint8Array(secretDomain.length + seedBytes + namesBytesMax);
  /** Domain, first 16 bytes of the secret's hash, names. */
  private readonly blinded = new Uint8Array(blindDomain.length + blindBytes + namesBytesMax);
  /** 0x00 of a leaf, blinded name, size, root. */
  private readonly record = new Uint8Array(1 + recordBytes);
  private readonly view = new DataView(this.record.buffer);
  private readonly digest = new Uint8Array(treeHashBytes);

  /** `seed`: 16 bytes, of the machine's state. */
  constructor(hash: HashInto, seed: () => Uint8Array) {
    this.hash = hash;
    this.seed = seed;
    this.secret.set(secretDomain);
    this.blinded.set(blindDomain);
  }

  /** Writes the hash of the leaf: this room (by its name record) has this tree. */
  write(name: Uint8Array, tree: Peaks, into: Uint8Array): void {
    const { secret, blinded, record, digest } = this;
    secret.set(this.seed(), secretDomain.length);
    const secretEnd = putNames(name, secret, secretDomain.length + seedBytes);
    this.hash(secret.subarray(0, secretEnd), digest, 0);
    for (let i = 0; i < blindBytes; i += 1) blinded[blindDomain.length + i] = digest[i] ?? 0;
    const blindedEnd = putNames(name, blinded, blindDomain.length + blindBytes);
    this.hash(blinded.subarray(0, blindedEnd), record, 1);
    this.view.setUint32(33, Math.floor(tree.size / 2 ** 32));
    this.view.setUint32(37, tree.size % 2 ** 32);
    tree.root(record, 41);
    this.hash(record, into, 0);
  }
}

/** Lengths of tenant and room, and both; where they end. */
function putNames(name: Uint8Array, into: Uint8Array, at: number): number {
  const bytes = (name[0] ?? 0) + (name[1] ?? 0);
  into[at] = name[0] ?? 0;
  into[at + 1] = name[1] ?? 0;
  for (let i = 0; i < bytes; i += 1) into[at + 2 + i] = name[nameFixedBytes + i] ?? 0;
  return at + 2 + bytes;
}
