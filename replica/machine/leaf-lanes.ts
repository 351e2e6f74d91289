import { entryFixedBytes, entryFlagRedacted } from "#replica/wire/entry.ts";
import type { HashInto, HashMany } from "#replica/proof/hash-many.ts";
import { leavesAtOnceMax } from "#replica/proof/node-lanes.ts";
import { leafPreimageMax, saltSkipped } from "./leaf-hasher.ts";

const hashBytes = 32;
/** Bytes of a name record before the names: their lengths. */
const nameFixedBytes = 4;
/** 0x00 of a leaf, lengths of tenant and room. */
const prefixFixedBytes = 3;
/** Salt and body of more bytes are hashed alone. */
const restMax = 1024;
/** Holds the longest of all and its padding; an odd number of cache lines spreads the slots. */
const slotBytes = 31 * 64;
/** Bytes of memory that {@link LeafLanes} wants. */
export const leafLanesBytes = leavesAtOnceMax * slotBytes;

/** Where an entry stands: the same bytes twice. */
interface EntryBytes {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
}

/**
 * Hashes the leaves of up to 64 entries of one room at once, as `entryLeafPreimage` of
 * replica/wire/entry.ts describes them. An entry is copied once, behind the room's names; then
 * H(salt, body) of each goes to where salt and body stood, which is where the leaf wants it.
 */
export class LeafLanes {
  private readonly many: HashMany;
  private readonly words: Int32Array;
  private readonly hash: HashInto;
  private readonly slots: number;
  private readonly restStarts = new Int32Array(leavesAtOnceMax);
  private readonly restLengths = new Int32Array(leavesAtOnceMax);
  private readonly restOuts = new Int32Array(leavesAtOnceMax);
  private restCount = 0;
  private readonly leafStarts = new Int32Array(leavesAtOnceMax);
  private readonly leafLengths = new Int32Array(leavesAtOnceMax);
  private readonly leafOuts = new Int32Array(leavesAtOnceMax);
  private leafCount = 0;
  private record: Uint8Array = new Uint8Array(0);
  /** From the start of a slot to the leaf's preimage, so that the entry begins at a whole word. */
  private prefixAt = 0;
  private prefixBytes = 0;
  /** Slots that begin with the open room's names, from the first on. */
  private named = 0;

  /** Uses {@link leafLanesBytes} of `many` from `at` on; `hash` for long bodies. */
  constructor(many: HashMany, hash: HashInto, at: number) {
    this.many = many;
    this.words = new Int32Array(many.bytes.buffer);
    this.hash = hash;
    this.slots = at;
  }

  /** The room of the entries that follow, by its name record (RoomTable.nameRecord). */
  open(record: Uint8Array): void {
    this.record = record;
    this.named = 0;
    this.prefixBytes = prefixFixedBytes + (record[0] ?? 0) + (record[1] ?? 0);
    this.prefixAt = -this.prefixBytes & 3;
  }

  /** One more entry, `length` bytes at `start`, a multiple of 4; its leaf's hash goes to `out`. */
  add({ bytes, words }: EntryBytes, start: number, length: number, out: number): void {
    const memory = this.many.bytes;
    const leaf = this.slots + this.leafCount * slotBytes + this.prefixAt;
    if (this.leafCount >= this.named) this.name(leaf);
    const entry = leaf + this.prefixBytes;
    const head = entryFixedBytes + (bytes[start + 2] ?? 0);
    const flags = bytes[start + 3] ?? 0;
    const redacted = (flags & entryFlagRedacted) !== 0;
    const rest = length - head;
    const long = !redacted && rest > restMax;
    this.copy(words, start, long ? head : length, entry);
    if (redacted) memory[entry + 3] = flags & ~entryFlagRedacted;
    else if (long) {
      const from = start + head + saltSkipped();
      this.hash(bytes.subarray(from, start + length), memory, entry + head);
    } else {
      this.restStarts[this.restCount] = entry + head + saltSkipped();
      this.restLengths[this.restCount] = rest - saltSkipped();
      this.restOuts[this.restCount] = entry + head;
      this.restCount += 1;
    }
    this.leafStarts[this.leafCount] = leaf;
    this.leafLengths[this.leafCount] = this.prefixBytes + head + hashBytes;
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

  /** Whole words, so up to 3 bytes more: what is hashed has its padding written there. */
  private copy(words: Int32Array, start: number, length: number, to: number): void {
    const { words: memory } = this;
    const from = start >>> 2;
    const into = to >>> 2;
    const count = (length + 3) >>> 2;
    for (let i = 0; i < count; i += 1) memory[into + i] = words[from + i] ?? 0;
  }

  /** 0x00, lengths, tenant, room. */
  private name(leaf: number): void {
    const { record } = this;
    const memory = this.many.bytes;
    const names = this.prefixBytes - prefixFixedBytes;
    memory[leaf] = 0;
    memory[leaf + 1] = record[0] ?? 0;
    memory[leaf + 2] = record[1] ?? 0;
    for (let i = 0; i < names; i += 1) memory[leaf + 3 + i] = record[nameFixedBytes + i] ?? 0;
    this.named = this.leafCount + 1;
  }
}

if (3 + leafPreimageMax + restMax + 72 > slotBytes) throw new Error("slots too small");
