import { entryFixedBytes, entryFlagRedacted } from "#replica/wire/entry.ts";
import type { HashInto, HashMany } from "#replica/proof/hash-many.ts";
import { leavesAtOnceMax } from "#replica/proof/node-lanes.ts";
import { leafPreimageMax, saltSkipped } from "./leaf-hasher.ts";

const hashBytes = 32;
/** Bytes of a name record before the names: their lengths. */
const nameFixedBytes = 4;
/** Salt and body of more bytes are hashed alone. */
const restMax = 1024;
/** Not a power of two, so that slots do not share cache lines' places; room for padding. */
const slotBytes = 1024 + 192;
/** Bytes of memory that {@link LeafLanes} wants. */
export const leafLanesBytes = 2 * leavesAtOnceMax * slotBytes;

/**
 * Hashes the leaves of up to 64 entries of one room at once; the same as {@link LeafHasher} does
 * one by one. In two calls: H(salt, body) of each, written into what is hashed next, the leaf.
 */
export class LeafLanes {
  private readonly many: HashMany;
  private readonly hash: HashInto;
  private readonly restSlots: number;
  private readonly leafSlots: number;
  private readonly restStarts = new Int32Array(leavesAtOnceMax);
  private readonly restLengths = new Int32Array(leavesAtOnceMax);
  private readonly restOuts = new Int32Array(leavesAtOnceMax);
  private restCount = 0;
  private readonly leafStarts = new Int32Array(leavesAtOnceMax);
  private readonly leafLengths = new Int32Array(leavesAtOnceMax);
  private readonly leafOuts = new Int32Array(leavesAtOnceMax);
  private leafCount = 0;
  private record: Uint8Array = new Uint8Array(0);
  /** Slots that begin with the open room's names, from the first on. */
  private named = 0;

  /** Uses {@link leafLanesBytes} of `many` from `at` on; `hash` for long bodies. */
  constructor(many: HashMany, hash: HashInto, at: number) {
    this.many = many;
    this.hash = hash;
    this.restSlots = at;
    this.leafSlots = at + leavesAtOnceMax * slotBytes;
  }

  /** The room of the entries that follow, by its name record (RoomTable.nameRecord). */
  open(record: Uint8Array): void {
    this.record = record;
    this.named = 0;
  }

  /** One more entry, at [start, start + length) of `bytes`; its leaf's hash goes to `out`. */
  add(bytes: Uint8Array, start: number, length: number, out: number): void {
    const memory = this.many.bytes;
    const leaf = this.leafSlots + this.leafCount * slotBytes;
    const headAt = this.name(leaf);
    const head = entryFixedBytes + (bytes[start + 2] ?? 0);
    for (let i = 0; i < head; i += 1) memory[headAt + i] = bytes[start + i] ?? 0;
    const flags = bytes[start + 3] ?? 0;
    memory[headAt + 3] = flags & ~entryFlagRedacted;
    this.rest(bytes.subarray(start + head, start + length), flags, headAt + head);
    this.leafStarts[this.leafCount] = leaf;
    this.leafLengths[this.leafCount] = headAt + head + hashBytes - leaf;
    this.leafOuts[this.leafCount] = out;
    this.leafCount += 1;
  }

  /** Hashes what was added. */
  run(): void {
    this.many.hash(this.restCount, this.restStarts, this.restLengths, this.restOuts);
    this.many.hash(this.leafCount, this.leafStarts, this.leafLengths, this.leafOuts);
    this.restCount = 0;
    this.leafCount = 0;
  }

  /** 0x00, lengths, tenant, room; where the head begins. */
  private name(leaf: number): number {
    const { record } = this;
    const memory = this.many.bytes;
    const names = (record[0] ?? 0) + (record[1] ?? 0);
    if (this.leafCount >= this.named) {
      memory[leaf] = 0;
      memory[leaf + 1] = record[0] ?? 0;
      memory[leaf + 2] = record[1] ?? 0;
      for (let i = 0; i < names; i += 1) memory[leaf + 3 + i] = record[nameFixedBytes + i] ?? 0;
      this.named = this.leafCount + 1;
    }
    return leaf + 3 + names;
  }

  /** H(salt, body) goes to `out`. */
  private rest(saltAndBody: Uint8Array, flags: number, out: number): void {
    const memory = this.many.bytes;
    if ((flags & entryFlagRedacted) !== 0) {
      memory.set(saltAndBody, out);
      return;
    }
    const rest = saltAndBody.subarray(saltSkipped());
    if (rest.length > restMax) {
      this.hash(rest, memory, out);
      return;
    }
    const at = this.restSlots + this.restCount * slotBytes;
    memory.set(rest, at);
    this.restStarts[this.restCount] = at;
    this.restLengths[this.restCount] = rest.length;
    this.restOuts[this.restCount] = out;
    this.restCount += 1;
  }
}

if (leafPreimageMax + 72 > slotBytes || restMax + 72 > slotBytes)
  throw new Error("slots too small");
