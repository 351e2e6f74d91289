import { assert } from "#replica/base/assert.ts";

/** Bits of a key's hash that a run tells apart: those of its bucket and those it stores. */
const hashBits = 40;
const bucketBitsMin = 8;
const bucketBitsMax = 24;
/** Keys of a bucket on average, at least. */
const bucketKeys = 8;

/** Bits that name a bucket in a run of so many keys. */
function bucketBitsFor(count: number): number {
  const wanted = 31 - Math.clz32(Math.max(1, Math.floor(count / bucketKeys)));
  return Math.min(bucketBitsMax, Math.max(bucketBitsMin, wanted));
}

const chunkBits = 14;
const chunkMask = 2 ** chunkBits - 1;

/** Numbers below 2^32 in pieces that are made as they are written: no turn clears megabytes. */
export class Column {
  /** Numbers written. */
  length = 0;
  private chunks: Uint32Array[] = [];

  /** Takes an array as it is, in the same pieces. */
  static of(numbers: Uint32Array): Column {
    const column = new Column();
    column.length = numbers.length;
    const size = 2 ** chunkBits;
    const pieces = Math.ceil(numbers.length / size);
    column.chunks = Array.from({ length: pieces }, (_, i) =>
      numbers.subarray(i * size, (i + 1) * size),
    );
    return column;
  }

  /** Bytes of memory held. */
  get memoryBytes(): number {
    let bytes = 0;
    for (const chunk of this.chunks) bytes += chunk.byteLength;
    return bytes;
  }

  /** Appends a number. `last`: how many there will be, so that the last piece is no larger. */
  push(value: number, last: number): void {
    const at = this.length;
    if ((at & chunkMask) === 0)
      this.chunks.push(new Uint32Array(Math.min(last - at, 2 ** chunkBits)));
    const chunk = this.chunks[at >>> chunkBits];
    if (chunk !== undefined) chunk[at & chunkMask] = value;
    this.length += 1;
  }

  /** The number at a position; 0 behind the end. */
  at(index: number): number {
    return this.chunks[index >>> chunkBits]?.[index & chunkMask] ?? 0;
  }
}

/**
 * Many keys, for good: their hashes by buckets and their seqs, in arrays of exactly their size, 8
 * bytes a key and up to a half for the buckets. The bucket is the hash's first bits and is
 * not stored again.
 */
export class KeyRun {
  readonly count: number;
  readonly bits: number;
  /** Where each bucket begins; one more than buckets. */
  readonly starts: Column;
  /** The hash behind the bucket's bits. */
  readonly rests: Column;
  /** The seq's low 32 bits. */
  readonly seqs: Column;

  constructor(
    count: number,
    columns = { starts: new Column(), rests: new Column(), seqs: new Column() },
  ) {
    this.count = count;
    this.bits = bucketBitsFor(count);
    this.starts = columns.starts;
    this.rests = columns.rests;
    this.seqs = columns.seqs;
  }

  /** Bytes of memory held. */
  get memoryBytes(): number {
    return this.starts.memoryBytes + this.rests.memoryBytes + this.seqs.memoryBytes;
  }

  /** Position of the first key from `from` on (-1 = any) with this hash, or -1. */
  next(hash0: number, hash1: number, from: number): number {
    const bucket = hash0 >>> (32 - this.bits);
    const rest = restOf(hash0, hash1, this.bits);
    const end = this.starts.at(bucket + 1);
    let at = from < 0 ? this.starts.at(bucket) : from;
    for (; at < end; at += 1) if (this.rests.at(at) === rest) return at;
    return -1;
  }
}

/** What a run stores of a hash: the last ones of its {@link hashBits}, at most 32. */
export function restOf(hash0: number, hash1: number, bits: number): number {
  return ((hash0 << bits) >>> bits) * 2 ** (hashBits - 32) + (hash1 >>> (64 - hashBits));
}

/** Fills a run with keys in the order of their buckets. */
export class RunWriter {
  readonly run: KeyRun;

  constructor(count: number) {
    this.run = new KeyRun(count);
  }

  /** A run of keys in any order, three words each: hash and low word of the seq. */
  static sort(pieces: readonly Int32Array[], count: number): KeyRun {
    const bits = bucketBitsFor(count);
    const shift = 32 - bits;
    const starts = new Uint32Array(2 ** bits + 1);
    for (const words of pieces) {
      for (let i = 0; i < words.length; i += 3) {
        const next = ((words[i] ?? 0) >>> shift) + 1;
        starts[next] = (starts[next] ?? 0) + 1;
      }
    }
    for (let bucket = 1; bucket < starts.length; bucket += 1) {
      starts[bucket] = (starts[bucket] ?? 0) + (starts[bucket - 1] ?? 0);
    }
    const free = starts.slice();
    const rests = new Uint32Array(count);
    const seqs = new Uint32Array(count);
    for (const words of pieces) {
      for (let i = 0; i < words.length; i += 3) {
        const hash0 = words[i] ?? 0;
        const bucket = hash0 >>> shift;
        const at = free[bucket] ?? 0;
        free[bucket] = at + 1;
        rests[at] = (((hash0 << bits) >>> bits) << 8) | ((words[i + 1] ?? 0) >>> 24);
        seqs[at] = words[i + 2] ?? 0;
      }
    }
    const [s, r, q] = [starts, rests, seqs].map((numbers) => Column.of(numbers));
    assert(s !== undefined && r !== undefined && q !== undefined, "MCH-16: columns of a run");
    return new KeyRun(count, { starts: s, rests: r, seqs: q });
  }

  /** Adds a key to a bucket that is not before that of the last one. */
  add(bucket: number, rest: number, seqLow: number): void {
    const { run } = this;
    this.begin(bucket);
    run.rests.push(rest, run.count);
    run.seqs.push(seqLow, run.count);
  }

  /** Buckets up to this one begin here at the latest. */
  begin(bucket: number): void {
    const { starts, rests, bits } = this.run;
    while (starts.length <= bucket) starts.push(rests.length, 2 ** bits + 1);
  }

  /** The run, complete. */
  finish(): KeyRun {
    const { run } = this;
    assert(run.rests.length === run.count, "MCH-16: a run holds the keys that went into it");
    this.begin(2 ** run.bits);
    return run;
  }
}

/** Makes one run of several, some buckets at a time. */
export class RunMerge {
  readonly inputs: readonly KeyRun[];
  private readonly writer: RunWriter;
  private bucket = 0;

  constructor(inputs: readonly KeyRun[]) {
    this.inputs = inputs;
    let count = 0;
    for (const run of inputs) count += run.count;
    this.writer = new RunWriter(count);
  }

  /** Looks at about so many keys; the run when it is complete, else null. */
  step(keys: number): KeyRun | null {
    const { writer, inputs } = this;
    const { bits } = writer.run;
    const end = 2 ** bits;
    for (let looked = 0; looked < keys && this.bucket < end; this.bucket += 1) {
      looked += 1;
      writer.begin(this.bucket);
      for (const input of inputs) looked += this.take(input, bits);
    }
    return this.bucket < end ? null : writer.finish();
  }

  private take(input: KeyRun, bits: number): number {
    const { bucket, writer } = this;
    const more = bits - input.bits;
    const from = bucket >>> more;
    const start = input.starts.at(from);
    const end = input.starts.at(from + 1);
    const { rests, seqs } = input;
    if (more === 0) {
      for (let at = start; at < end; at += 1) writer.add(bucket, rests.at(at), seqs.at(at));
      return end - start;
    }
    const shift = hashBits - bits;
    const wanted = bucket & (2 ** more - 1);
    const mask = 2 ** shift - 1;
    for (let at = start; at < end; at += 1) {
      const rest = rests.at(at);
      if (rest >>> shift === wanted) writer.add(bucket, (rest & mask) >>> 0, seqs.at(at));
    }
    return end - start;
  }
}
