/** One place to be looked at. `block` -1: a segment's own table. */
export type ScrubTarget =
  | { readonly kind: "superblock"; readonly copy: number }
  | { readonly kind: "sector"; readonly sector: number }
  | { readonly kind: "slot"; readonly slot: number }
  /** Asks for the segments that there are now: answered by {@link ScrubRound.segments}. */
  | { readonly kind: "list" }
  | { readonly kind: "segment"; readonly id: string; readonly block: number };

/** How many places of each kind a volume has. */
export interface ScrubSizes {
  readonly copies: number;
  readonly sectors: number;
  readonly slots: number;
}

/**
 * One round over a volume, in the order in which damage would hurt most: superblock, identifiers,
 * prepares, then every block of every segment. Pure: says where to look next.
 */
export class ScrubRound {
  private readonly sizes: ScrubSizes;
  private next = 0;
  private ids: readonly string[] | null = null;
  private block = -1;
  private blocks = 0;

  constructor(sizes: ScrubSizes) {
    this.sizes = sizes;
  }

  /** Where to look now; null = the round is over. The same until {@link done}. */
  get target(): ScrubTarget | null {
    const { copies, sectors, slots } = this.sizes;
    if (this.next < copies) return { kind: "superblock", copy: this.next };
    const sector = this.next - copies;
    if (sector < sectors) return { kind: "sector", sector };
    const slot = sector - sectors;
    if (slot < slots) return { kind: "slot", slot };
    if (this.ids === null) return { kind: "list" };
    const [id] = this.ids;
    return id === undefined ? null : { kind: "segment", id, block: this.block };
  }

  /** The segments of this round. */
  segments(ids: readonly string[]): void {
    this.ids = ids;
  }

  /** The target was looked at. `blocks`: of the segment, when the target was its table. */
  done(blocks = 0): void {
    if (this.ids === null) {
      this.next += 1;
      return;
    }
    if (this.block === -1) this.blocks = blocks;
    this.block += 1;
    if (this.block < this.blocks) return;
    this.ids = this.ids.slice(1);
    this.block = -1;
  }
}
