import { assert } from "#replica/base/assert.ts";
import type { MachineTables } from "./machine-tables.ts";
import type { BlockAddress } from "./port.ts";
import { BlockFinder, locateOnDisk } from "./room-reader.ts";
import type { EntryPlace } from "./room-reader.ts";

/** An entry on disk that an op looks at; blocks come in the order of its addresses. */
interface Planned {
  readonly room: number;
  readonly seq: number;
  readonly block: number;
}

interface Plan {
  readonly addresses: BlockAddress[];
  readonly entries: Planned[];
}

const noAddresses: readonly BlockAddress[] = [];

/** Committed entries that an op looks at: in memory, or in blocks that were planned before. */
export class Originals {
  private readonly tables: MachineTables;
  /** By op: what was found on disk; only ops with such entries, until they are applied. */
  private readonly plans = new Map<number, Plan>();
  private plan: Plan | undefined;
  private blocks: readonly Uint8Array[] = [];

  constructor(tables: MachineTables) {
    this.tables = tables;
  }

  /** Forgets what was planned, of one op or of all. */
  forget(op?: number): void {
    if (op === undefined) this.plans.clear();
    else this.plans.delete(op);
  }

  /** Blocks planned for an op, each once, in order of first use. */
  addresses(op: number): readonly BlockAddress[] {
    return this.plans.get(op)?.addresses ?? noAddresses;
  }

  /** The op will look at this entry. Nothing to plan while it is in memory or not committed. */
  expect(op: number, room: number, seq: number): void {
    if (room < 0) return;
    const { tables } = this;
    const { rooms } = tables;
    const page = rooms.page(room);
    if (seq < 1 || seq > (page.head[rooms.at(room)] ?? 0)) return;
    if (seq < (page.floor[rooms.at(room)] ?? 0)) return;
    if (tables.store.find(page.newest[rooms.at(room)] ?? -1, seq) >= 0) return;
    const address = locateOnDisk(tables.history, room, seq);
    assert(address !== null, "MCH-10: a committed entry is in memory or in a segment");
    const plan = this.plans.get(op) ?? { addresses: [], entries: [] };
    this.plans.set(op, plan);
    let block = plan.addresses.findIndex(
      (known) => known.segment === address.segment && known.block === address.block,
    );
    if (block < 0) block = plan.addresses.push(address) - 1;
    plan.entries.push({ room, seq, block });
  }

  /** The op is applied now, with the blocks that were planned for it. */
  begin(op: number, blocks: readonly Uint8Array[]): void {
    this.plan = this.plans.get(op);
    this.plans.delete(op);
    assert(blocks.length === (this.plan?.addresses.length ?? 0), "MCH-10: blocks as needed");
    this.blocks = blocks;
  }

  /** The op was applied. */
  end(): void {
    this.plan = undefined;
    this.blocks = [];
  }

  /** Where a committed entry of this room lies. */
  find(room: number, seq: number): EntryPlace {
    const { rooms, store } = this.tables;
    const address = store.find(rooms.page(room).newest[rooms.at(room)] ?? -1, seq);
    if (address >= 0) {
      const at = store.offsetOf(address);
      return { bytes: store.bytesOf(address), at, length: store.lengthOf(address) };
    }
    const planned = this.plan?.entries.find((entry) => entry.room === room && entry.seq === seq);
    const block = this.blocks[planned?.block ?? -1];
    assert(block !== undefined, "MCH-10: needs named the block of an entry that is looked at");
    const stored = new BlockFinder().find(block, room, seq);
    assert(stored !== null, "MCH-10: a located entry is in its block");
    return stored;
  }
}
