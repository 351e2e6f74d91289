import { mutated } from "#replica/base/mutation.ts";
import { entryFixedBytes, entryFlagRedacted, entrySaltBytes } from "#replica/wire/entry.ts";
import { entryBytesMax } from "#replica/wire/entry.ts";
import type { HashInto } from "#replica/proof/hash-many.ts";

declare const MUTATIONS: boolean | undefined;

const hashBytes = 32;
/** 0x00 of a leaf, lengths, tenant, room, head of the entry, H(salt, body). */
export const leafPreimageMax = 1 + 2 + 2 * 255 + entryFixedBytes + 255 + hashBytes;
/** Bytes of a name record before the names: their lengths. */
const nameFixedBytes = 4;

/**
 * Hashes of entries' leaves for one room after another: what `entryLeafPreimage` of
 * replica/wire/entry.ts describes, in one reused buffer. Two hashes an entry.
 */
export class LeafHasher {
  private readonly hash: HashInto;
  /** 0x00 of a leaf, lengths, tenant, room, head of the entry, H(salt, body). */
  private readonly preimage = new Uint8Array(1 + 2 + 2 * 255 + entryBytesMax);
  private prefix = 0;

  constructor(hash: HashInto) {
    this.hash = hash;
  }

  /** The room of the entries that follow, by its name record (RoomTable.nameRecord). */
  open(record: Uint8Array): void {
    const { preimage } = this;
    const names = (record[0] ?? 0) + (record[1] ?? 0);
    preimage[1] = record[0] ?? 0;
    preimage[2] = record[1] ?? 0;
    for (let i = 0; i < names; i += 1) preimage[3 + i] = record[nameFixedBytes + i] ?? 0;
    this.prefix = 3 + names;
  }

  /** Writes the hash of the leaf of the entry at [start, start + length) of `bytes`. */
  leaf(bytes: Uint8Array, start: number, length: number, into: Uint8Array, at: number): void {
    const { preimage, prefix } = this;
    const head = entryFixedBytes + (bytes[start + 2] ?? 0);
    for (let i = 0; i < head; i += 1) preimage[prefix + i] = bytes[start + i] ?? 0;
    const flags = bytes[start + 3] ?? 0;
    preimage[prefix + 3] = flags & ~entryFlagRedacted;
    const end = prefix + head;
    const rest = bytes.subarray(start + head + saltSkipped(), start + length);
    if ((flags & entryFlagRedacted) !== 0) preimage.set(rest, end);
    else this.hash(rest, preimage, end);
    this.hash(preimage.subarray(0, end + hashBytes), into, at);
  }
}

/** A canary: bytes of the salt that are left out of what is hashed. */
export function saltSkipped(): number {
  const bare = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("leaf_without_salt");
  return bare ? entrySaltBytes : 0;
}
