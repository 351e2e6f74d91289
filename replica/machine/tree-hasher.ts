import { assert } from "#replica/base/assert.ts";
import type { TreeHashes } from "#replica/proof/hash-many.ts";
import { leavesAtOnceMax, NodeLanes, nodeLanesBytes } from "#replica/proof/node-lanes.ts";
import type { OnTile } from "#replica/proof/peaks.ts";
import { Peaks } from "#replica/proof/peaks.ts";
import { treeHashBytes } from "#replica/proof/merkle.ts";
import { EntryChunks } from "./entry-chunks.ts";
import { LeafLanes, leafLanesBytes } from "./leaf-lanes.ts";
import { RecordHasher } from "./record-hasher.ts";
import type { TreeJob, TreeJobRoom, TreeResult } from "./tree-job.ts";
import { TreeJobReader, TreeResultWriter } from "./tree-job.ts";

/** What a room costs beside its entries, in entries. */
export const roomCost = 4;

/** Does {@link TreeJob}s, in slices: one at a time. */
export class TreeHasher {
  private readonly leaves: LeafLanes;
  private readonly nodes: NodeLanes;
  private readonly records: RecordHasher;
  private readonly tree: Peaks;
  private readonly leaf = new Uint8Array(treeHashBytes);
  private readonly addresses = new Float64Array(leavesAtOnceMax);
  private tiles: Uint8Array[] = [];
  private seed: Uint8Array = new Uint8Array(0);
  private entries: EntryChunks | null = null;
  private reader: TreeJobReader | null = null;
  private writer = new TreeResultWriter();
  private room: TreeJobRoom | null = null;

  constructor({ one, many }: TreeHashes) {
    const lanes = many(leafLanesBytes + nodeLanesBytes);
    this.leaves = new LeafLanes(lanes, one, lanes.start);
    this.nodes = new NodeLanes(lanes, lanes.start + leafLanesBytes);
    this.records = new RecordHasher(one, () => this.seed);
    this.tree = new Peaks(one);
  }

  /** Does a whole job at once. */
  run(job: TreeJob): TreeResult {
    this.begin(job);
    for (;;) {
      const result = this.step(Number.POSITIVE_INFINITY);
      if (result !== null) return result;
    }
  }

  /** The next job; the last one's result was given. */
  begin(job: TreeJob): void {
    assert(this.reader === null, "MCH-21: one job at a time");
    this.seed = job.seed;
    this.entries = new EntryChunks(job.entries);
    this.reader = new TreeJobReader(job);
    this.writer = new TreeResultWriter();
  }

  /** Hashes about this many entries; the result once that was all. */
  step(entriesMax: number): TreeResult | null {
    const { reader } = this;
    assert(reader !== null, "MCH-21: a job was begun");
    let left = entriesMax;
    while (left > 0) {
      this.room ??= this.open(reader.next());
      if (this.room === null) {
        this.reader = null;
        this.entries = null;
        return this.writer.end();
      }
      left -= this.append(this.room);
      if (this.tree.size < this.room.size) continue;
      left -= roomCost;
      this.close(this.room);
      this.room = null;
    }
    return null;
  }

  private open(room: TreeJobRoom | null): TreeJobRoom | null {
    if (room === null) return null;
    if (room.frontier.length === 0) this.tree.clear();
    else this.tree.load(room.frontier);
    this.leaves.open(room.names);
    this.tiles = [];
    return room;
  }

  /** Appends some of the open room's entries; how many. */
  private append({ size, newest }: TreeJobRoom): number {
    const { entries, tree, leaves, nodes, addresses } = this;
    assert(entries !== null, "MCH-21: a job was begun");
    const first = tree.size + 1;
    const count = Math.min(size - tree.size, leavesAtOnceMax);
    if (count <= 0) return 0;
    let at = entries.find(newest, first + count - 1);
    for (let i = count - 1; i >= 0; i -= 1) {
      assert(at >= 0, "MCH-21: entries stay in memory until they are hashed");
      addresses[i] = at;
      at = entries.previousOf(at);
    }
    const odd = tree.size % 2;
    for (let i = 0; i < count; i += 1) {
      const address = addresses[i] ?? -1;
      const length = entries.lengthOf(address);
      const chunk = entries.chunkOf(address);
      leaves.add(chunk, entries.offsetOf(address), length, nodes.place(0, odd, i));
    }
    leaves.run();
    tree.appendAll(count, nodes, this.keepTile);
    return count;
  }

  private readonly keepTile: OnTile = (level, _number, bytes, at) => {
    if (level === 1) this.tiles.push(bytes.slice(at, at + treeHashBytes));
  };

  private close({ names }: TreeJobRoom): void {
    const { tree, leaf, tiles } = this;
    this.records.write(names, tree, leaf);
    const joined = new Uint8Array(tiles.length * treeHashBytes);
    tiles.forEach((tile, i) => {
      joined.set(tile, i * treeHashBytes);
    });
    this.writer.add({ frontier: tree.encode(0), leaf: leaf.slice(), tiles: joined });
  }
}
