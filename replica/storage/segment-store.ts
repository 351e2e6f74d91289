import { assert } from "#replica/base/assert.ts";
import { diskUnitBytes } from "#replica/base/limits.ts";
import { Ring } from "#replica/base/ring.ts";
import type { Zone } from "#replica/wire/storage-port.ts";
import { BufferPool } from "./buffer-pool.ts";
import {
  blockBytesMax,
  blockHeaderBytes,
  blockLengthOf,
  decodeBlock,
  decodeSegmentTable,
  encodeBlock,
  encodeSegmentTable,
  type SegmentTable,
  segmentBlocksMax,
  segmentTableFrom,
  segmentTablesBytes,
} from "./segment-layout.ts";
import type { ScrubFinding } from "./scrubber.ts";
import type { Volume } from "./volume.ts";

/**
 * Blocks that one disk write carries: some 256 KiB, so that no other write waits long. Each is a
 * sync of its own, which the log's writes wait for.
 */
const pieceBlocks = 8;
const pieceBytes = pieceBlocks * (blockHeaderBytes + blockBytesMax);
/** Blocks of one read at most: a megabyte. */
const runBlocksMax = 16;
/** Segments written at once at most; further ones wait. */
const writesMax = 4;
/** Segments that may wait. */
const waitingMax = 4096;
/** Tables kept in memory. */
const tablesMax = 256;

function zoneOf(id: string): Zone {
  assert(/^[a-z0-9-]{1,40}$/.test(id), "STO-06: id of a segment");
  return { kind: "segment", id };
}

/** Segment files: immutable blocks, each encrypted on its own, found through a small table. */
export class SegmentStore {
  private readonly volume: Volume;
  private readonly pool = new BufferPool(pieceBytes, writesMax);
  private readonly tables = new Map<string, SegmentTable>();
  /** Segments of which a part may not be on the disk yet. */
  private readonly unfinished = new Set<string>();
  /** Writes of a segment that wait until an earlier write of the same one is done. */
  private readonly behind = new Map<string, (() => void)[]>();
  private readonly waiting = new Ring<() => void>(waitingMax);
  private writing = 0;

  constructor(volume: Volume) {
    this.volume = volume;
  }

  /**
   * Durable, directory included, when done. An existing segment of that id is replaced; writes of
   * one id go one after the other, since each begins with an empty file.
   */
  write(id: string, blocks: readonly Uint8Array[], done: () => void): void {
    const zone = zoneOf(id);
    if (this.unfinished.has(id)) {
      const behind = this.behind.get(id) ?? [];
      assert(behind.length < writesMax, "STO-13: writes of one segment that wait");
      this.behind.set(id, [...behind, () => this.write(id, blocks, done)]);
      return;
    }
    const lengths = blocks.map((block) => block.length);
    const table = segmentTableFrom(lengths);
    this.unfinished.add(id);
    this.waiting.push(() => {
      this.tables.delete(id);
      this.volume.tools.disk.create(zone, 0, (result) => {
        this.volume.settle(
          result,
          () => this.writeTable(zone, id, blocks, table, done),
          () => `creation of segments/${id} failed`,
        );
      });
    });
    this.pump();
  }

  private pump(): void {
    while (this.writing < writesMax) {
      const begin = this.waiting.shift();
      if (begin === undefined) return;
      this.writing += 1;
      begin();
    }
  }

  private writeTable(
    zone: Zone,
    id: string,
    blocks: readonly Uint8Array[],
    table: SegmentTable,
    done: () => void,
  ): void {
    const bytes = encodeSegmentTable(this.volume.tools, table.lengths);
    this.volume.write(zone, 0, bytes, () => {
      this.writePiece(zone, id, blocks, table, 0, done);
    });
  }

  private next(id: string): void {
    const [first, ...rest] = this.behind.get(id) ?? [];
    if (rest.length > 0) this.behind.set(id, rest);
    else this.behind.delete(id);
    first?.();
  }

  /** Encrypts and writes the next blocks; the event loop turns between two pieces. */
  private writePiece(
    zone: Zone,
    id: string,
    blocks: readonly Uint8Array[],
    table: SegmentTable,
    first: number,
    done: () => void,
  ): void {
    const offset = table.offsets[first];
    if (offset === undefined) {
      this.remember(id, table);
      this.unfinished.delete(id);
      this.writing -= 1;
      done();
      this.next(id);
      this.pump();
      return;
    }
    const buffer = this.pool.take();
    const last = Math.min(first + pieceBlocks, blocks.length);
    let filled = 0;
    for (let block = first; block < last; block += 1) {
      const plain = blocks[block];
      assert(plain !== undefined, "STO-06: a block of the segment");
      const sealed = this.volume.sealBlock(id, block, plain);
      filled += encodeBlock(this.volume.tools, block, sealed, buffer, filled);
    }
    this.volume.write(zone, offset, buffer.subarray(0, filled), () => {
      this.pool.give(buffer);
      this.writePiece(zone, id, blocks, table, last, done);
    });
  }

  /** One plaintext block; null: absent or damaged. */
  read(id: string, block: number, done: (bytes: Uint8Array | null) => void): void {
    const zone = zoneOf(id);
    this.table(id, (table) => {
      const offset = table?.offsets[block];
      const length = table?.lengths[block];
      if (offset === undefined || length === undefined) {
        this.volume.tools.later(() => done(null));
        return;
      }
      this.volume.tools.disk.read(zone, offset, blockHeaderBytes + length, (bytes) => {
        const sealed = bytes === null ? null : decodeBlock(this.volume.tools, block, bytes);
        done(sealed === null ? null : this.volume.openBlock(id, block, sealed));
      });
    });
  }

  /** Plaintext blocks that follow each other, in one read; null: absent or damaged. */
  readRun(
    id: string,
    first: number,
    count: number,
    done: (blocks: readonly (Uint8Array | null)[]) => void,
  ): void {
    assert(count > 0 && count <= runBlocksMax, "STO-06: blocks of one read");
    const zone = zoneOf(id);
    this.table(id, (table) => {
      const start = table?.offsets[first];
      const last = first + count - 1;
      const end = (table?.offsets[last] ?? 0) + blockHeaderBytes + (table?.lengths[last] ?? 0);
      if (table === null || start === undefined || table.lengths.length <= last) {
        this.volume.tools.later(() => done(new Array<null>(count).fill(null)));
        return;
      }
      this.volume.tools.disk.read(zone, start, end - start, (bytes) => {
        const blocks = new Array<Uint8Array | null>(count).fill(null);
        for (let i = 0; i < count && bytes !== null; i += 1) {
          const at = (table.offsets[first + i] ?? 0) - start;
          const stored = bytes.subarray(
            at,
            at + blockHeaderBytes + (table.lengths[first + i] ?? 0),
          );
          const sealed = decodeBlock(this.volume.tools, first + i, stored);
          blocks[i] = sealed === null ? null : this.volume.openBlock(id, first + i, sealed);
        }
        done(blocks);
      });
    });
  }

  /** Byte at which a block begins; 0 when both tables are lost. */
  place(id: string, block: number, done: (offset: number) => void): void {
    this.table(id, (table) => done(table?.offsets[block] ?? 0));
  }

  /** Rewrites one damaged block in place, under a new nonce. */
  repair(id: string, block: number, bytes: Uint8Array, done: () => void): void {
    const zone = zoneOf(id);
    this.table(id, (table) => {
      const offset = table?.offsets[block];
      const fits = table?.lengths[block] === bytes.length;
      if (offset === undefined || !fits) {
        // A block without a place: the segment is gone or another one, which a read will say.
        this.volume.tools.later(done);
        return;
      }
      const stored = new Uint8Array(blockHeaderBytes + bytes.length);
      const sealed = this.volume.sealBlock(id, block, bytes);
      encodeBlock(this.volume.tools, block, sealed, stored, 0);
      this.volume.write(zone, offset, stored, done);
    });
  }

  /** Ids of the segments that are completely there; none when the device refuses. */
  list(done: (ids: readonly string[]) => void): void {
    this.volume.tools.disk.listSegments((ids) => {
      done((ids ?? []).filter((id) => !this.unfinished.has(id)));
    });
  }

  /** Unlinks segments; those that are absent count as removed. */
  remove(ids: readonly string[], done: () => void): void {
    let left = ids.length;
    if (left === 0) this.volume.tools.later(done);
    for (const id of ids) {
      const zone = zoneOf(id);
      this.tables.delete(id);
      this.volume.tools.disk.remove(zone, (result) => {
        this.volume.settle(
          result,
          () => {
            left -= 1;
            if (left === 0) done();
          },
          () => `removal of segments/${id} failed`,
        );
      });
    }
  }

  /** Looks at both copies of a segment's table; the disk's truth replaces what memory knows. */
  scrubTable(id: string, done: (finding: ScrubFinding, blocks: number) => void): void {
    const zone = zoneOf(id);
    this.volume.tools.disk.read(zone, 0, segmentTablesBytes, (bytes) => {
      const { tools } = this.volume;
      const copies = ([0, 1] as const).map((copy) => {
        const at = copy * diskUnitBytes;
        const unit = bytes?.subarray(at, at + diskUnitBytes);
        return unit === undefined ? null : decodeSegmentTable(tools, unit, copy);
      });
      // Zeros: it was removed since the listing, or is being written now.
      const absent = bytes?.every((byte) => byte === 0) === true;
      const faults = absent ? 0 : copies.filter((copy) => copy === null).length;
      if (faults > 0) this.tables.delete(id);
      if (absent) done({ bytes: segmentTablesBytes, faults: 0 }, 0);
      else {
        this.table(id, (table) => {
          done({ bytes: segmentTablesBytes, faults }, table?.lengths.length ?? 0);
        });
      }
    });
  }

  /** The table of a segment, from memory, else from either copy on disk; null: both damaged. */
  private table(id: string, done: (table: SegmentTable | null) => void): void {
    const known = this.tables.get(id);
    if (known !== undefined) {
      done(known);
      return;
    }
    const zone = zoneOf(id);
    this.volume.tools.disk.read(zone, 0, segmentTablesBytes, (bytes) => {
      const found = bytes === null ? null : this.decodeTables(zone, bytes);
      if (found === null) {
        this.rebuildTable(zone, [], segmentTablesBytes, done);
        return;
      }
      this.remember(id, found);
      done(found);
    });
  }

  /** Both copies are gone: walks the blocks' own headers, each of which says its length. */
  private rebuildTable(
    zone: Zone,
    lengths: readonly number[],
    offset: number,
    done: (table: SegmentTable | null) => void,
  ): void {
    this.volume.tools.disk.read(zone, offset, blockHeaderBytes, (bytes) => {
      const length = bytes === null ? null : blockLengthOf(bytes, lengths.length);
      if (length !== null && lengths.length < segmentBlocksMax) {
        const next = offset + blockHeaderBytes + length;
        this.rebuildTable(zone, [...lengths, length], next, done);
      } else if (lengths.length === 0) {
        done(null);
      } else {
        const table = encodeSegmentTable(this.volume.tools, lengths);
        this.volume.write(zone, 0, table, () => done(segmentTableFrom(lengths)));
      }
    });
  }

  private decodeTables(zone: Zone, bytes: Uint8Array): SegmentTable | null {
    const { tools } = this.volume;
    const first = bytes.subarray(0, diskUnitBytes);
    const second = bytes.subarray(diskUnitBytes);
    const a = decodeSegmentTable(tools, first, 0);
    const b = decodeSegmentTable(tools, second, 1);
    const table = a ?? b;
    if (table !== null && (a === null || b === null)) {
      this.volume.write(zone, 0, encodeSegmentTable(tools, table.lengths), () => undefined);
    }
    return table;
  }

  private remember(id: string, table: SegmentTable): void {
    if (this.tables.size >= tablesMax) {
      const oldest = this.tables.keys().next().value;
      if (oldest !== undefined) this.tables.delete(oldest);
    }
    this.tables.set(id, table);
  }
}
