import type { BlockAddress } from "./port.ts";
import type { SegmentIndex, SegmentSection } from "./segment-index.ts";

/** Blocks that one cursor asks for at once, and those that are left by then. */
const readAhead = 4;
const lowBlocks = 1;

/** Walks the blocks of one kind through some segments; blocks arrive from outside. */
export class BlockStream {
  private readonly addresses: BlockAddress[] = [];
  private asked = 0;
  private taken = 0;
  private readonly loaded: Uint8Array[] = [];

  constructor(segments: readonly SegmentIndex[], section: SegmentSection) {
    for (const segment of segments) {
      const { first, end } = segment.head.range(section);
      for (let block = first; block < end; block += 1) {
        this.addresses.push({ segment: segment.id, block });
      }
    }
  }

  /** True when all blocks were taken. */
  get ended(): boolean {
    return this.taken === this.addresses.length;
  }

  /** Next block, or null when it is not loaded. */
  take(): Uint8Array | null {
    const block = this.loaded.shift();
    if (block === undefined) return null;
    this.taken += 1;
    return block;
  }

  /** Blocks of all its segments, and those that were taken. */
  get blocksCount(): { readonly all: number; readonly taken: number } {
    return { all: this.addresses.length, taken: this.taken };
  }

  /** Blocks to load next, before the last ones run out; none while enough are on their way. */
  ask(): readonly BlockAddress[] {
    if (this.asked - this.taken > lowBlocks) return [];
    const addresses = this.addresses.slice(this.asked, this.asked + readAhead);
    this.asked += addresses.length;
    return addresses;
  }

  /** A block that was asked for, in order. */
  give(block: Uint8Array): void {
    this.loaded.push(block);
  }
}
