import { assert } from "#replica/base/assert.ts";
import type { Checksum } from "#replica/base/brands.ts";
import { bytesConcat } from "#replica/base/bytes.ts";
import type { CheckpointDescriptor } from "#replica/wire/peer-message.ts";
import type { Manifest, ManifestSegment } from "./manifest.ts";
import { decodeManifest, manifestBlocksCount, manifestRoot, manifestWrite } from "./manifest.ts";
import type { BlockAddress, Hash, SegmentWrite } from "./port.ts";
import { SegmentHead } from "./segment-index.ts";

/** A segment on its way here. */
interface Incoming {
  readonly entry: ManifestSegment;
  head: SegmentHead | null;
  readonly blocks: (Uint8Array | undefined)[];
  missing: number;
}

/** Segments fetched at a time: bounds memory. */
const incomingMax = 2;

/**
 * Plans the fetching of a peer's checkpoint: manifest, then of each segment that is not here its
 * head block, then the blocks. Every block is checked against digests that lead up to the target's
 * root. Pure: the host sends get_chunk, writes segments, and asks again for what got lost.
 */
export class SyncSession {
  private readonly hash: Hash;
  private readonly target: CheckpointDescriptor;
  private readonly local: ReadonlyMap<string, Checksum>;
  private readonly here: ReadonlySet<string>;
  private readonly chunks: (Uint8Array | undefined)[];
  private targetManifest: Manifest | null = null;
  private queue: ManifestSegment[] = [];
  private readonly incoming = new Map<string, Incoming>();
  private readonly asked = new Set<string>();
  private writes: SegmentWrite[] = [];
  private readonly unwritten = new Map<string, ManifestSegment | null>();
  /** Segments of the target that are durable here since this session began. */
  readonly durable: ManifestSegment[] = [];
  private fetched = 0;
  private left: number;

  /**
   * `local`: a manifest whose segments are durable here (the own checkpoint), or null. `durable`:
   * those of a session that aimed at an older checkpoint: a new target costs only the difference.
   */
  constructor(options: {
    readonly hash: Hash;
    readonly target: CheckpointDescriptor;
    readonly local: Manifest | null;
    readonly durable?: readonly ManifestSegment[];
    /** Ids of segments that lie here and count as sound: damage shows when they are read. */
    readonly here?: ReadonlySet<string>;
    /** The target's manifest when it is known already; null or absent = it is fetched first. */
    readonly manifest?: Manifest | null;
  }) {
    this.hash = options.hash;
    this.target = options.target;
    const known = [...(options.local?.segments ?? []), ...(options.durable ?? [])];
    this.local = new Map(known.map((segment) => [segment.id, segment.digest]));
    const count = manifestBlocksCount(options.target.manifestBytes);
    this.chunks = new Array<Uint8Array | undefined>(count).fill(undefined);
    this.left = count;
    this.here = options.here ?? new Set();
    if (options.manifest) this.take(options.manifest);
  }

  /** The target's manifest once it was received. */
  get manifest(): Manifest | null {
    return this.targetManifest;
  }

  /** True when everything of the target is durable here; then restore from `manifest`. */
  get complete(): boolean {
    const fetching = this.queue.length + this.incoming.size + this.writes.length;
    return this.targetManifest !== null && fetching === 0 && this.unwritten.size === 0;
  }

  /** Blocks fetched and left, for status. */
  get progress(): { readonly fetched: number; readonly left: number } {
    return { fetched: this.fetched, left: this.left };
  }

  /**
   * Chunks to ask for, oldest first: so many that at most `max` are asked for and not yet answered.
   * `segment` "" = the manifest (`block` = chunk of it), as in the message get_chunk.
   */
  wants(max: number): readonly BlockAddress[] {
    const wants: BlockAddress[] = [];
    const add = (segment: string, block: number): void => {
      const key = `${segment}/${block}`;
      if (this.asked.size >= max || this.asked.has(key)) return;
      this.asked.add(key);
      wants.push({ segment, block });
    };
    if (this.targetManifest === null) {
      this.chunks.forEach((chunk, block) => {
        if (chunk === undefined) add("", block);
      });
      return wants;
    }
    this.admit();
    for (const { entry, head, blocks } of this.incoming.values()) {
      if (head === null) add(entry.id, entry.blocksCount - 1);
      else {
        for (let block = 0; block < entry.blocksCount - 1 && this.asked.size < max; block += 1) {
          if (blocks[block] === undefined) add(entry.id, block);
        }
      }
    }
    return wants;
  }

  /** Asks again for everything that was asked for and did not come (a timer of the host). */
  forgetAsked(): void {
    this.asked.clear();
  }

  private admit(): void {
    while (this.incoming.size < incomingMax && this.writes.length < incomingMax) {
      const entry = this.queue.shift();
      if (entry === undefined) return;
      const blocks = new Array<Uint8Array | undefined>(entry.blocksCount).fill(undefined);
      this.incoming.set(entry.id, { entry, head: null, blocks, missing: entry.blocksCount });
    }
  }

  /** A chunk came. `bad`: its bytes are wrong (another peer's answer may be right). */
  receive(segment: string, block: number, bytes: Uint8Array): "ok" | "bad" | "unwanted" {
    this.asked.delete(`${segment}/${block}`);
    if (segment === "") return this.receiveManifest(block, bytes);
    const incoming = this.incoming.get(segment);
    if (incoming === undefined) return "unwanted";
    const { entry, head, blocks } = incoming;
    if (block < 0 || block >= entry.blocksCount || blocks[block] !== undefined) return "unwanted";
    const isHead = block === entry.blocksCount - 1;
    if (!isHead && head === null) return "unwanted";
    const digest = isHead ? entry.digest : head?.digest(block);
    if (this.hash(bytes) !== digest) return "bad";
    blocks[block] = bytes;
    if (isHead) incoming.head = new SegmentHead(bytes);
    incoming.missing -= 1;
    this.fetched += 1;
    this.left -= 1;
    if (incoming.missing === 0) this.finish(incoming);
    return "ok";
  }

  private finish(incoming: Incoming): void {
    const blocks: Uint8Array[] = [];
    for (const block of incoming.blocks) {
      assert(block !== undefined, "SNP-09: a complete segment has all its blocks");
      blocks.push(block);
    }
    this.incoming.delete(incoming.entry.id);
    this.writes.push({ id: incoming.entry.id, blocks });
  }

  private receiveManifest(block: number, bytes: Uint8Array): "ok" | "bad" | "unwanted" {
    if (this.targetManifest !== null || block < 0 || block >= this.chunks.length) return "unwanted";
    if (this.chunks[block] === undefined) this.left -= 1;
    this.chunks[block] = bytes;
    const parts: Uint8Array[] = [];
    for (const chunk of this.chunks) {
      if (chunk === undefined) return "ok";
      parts.push(chunk);
    }
    const whole = bytesConcat(parts);
    const decoded = decodeManifest(whole);
    if (manifestRoot(whole, this.hash) !== this.target.root || !decoded.ok) {
      // Nobody knows which chunk is wrong: all are asked for again.
      this.chunks.fill(undefined);
      this.left = this.chunks.length;
      this.asked.clear();
      return "bad";
    }
    this.take(decoded.value);
    this.writes.push(manifestWrite(this.target.op, whole));
    return "ok";
  }

  private take(manifest: Manifest): void {
    this.targetManifest = manifest;
    this.queue = manifest.segments.filter(({ id, digest }) => {
      return !this.here.has(id) && this.local.get(id) !== digest;
    });
    this.fetched = this.chunks.length;
    this.left = 0;
    for (const segment of this.queue) this.left += segment.blocksCount;
  }

  /** Segments complete and verified since the last call: write them, then call `written`. */
  takeWrites(): readonly SegmentWrite[] {
    const { writes } = this;
    this.writes = [];
    const segments = this.targetManifest?.segments ?? [];
    for (const { id } of writes) {
      this.unwritten.set(id, segments.find((segment) => segment.id === id) ?? null);
    }
    return writes;
  }

  /** A segment of takeWrites (the manifest's own among them) is durable. */
  written(id: string): void {
    const segment = this.unwritten.get(id);
    assert(segment !== undefined, "SNP-09: a write completes once");
    this.unwritten.delete(id);
    if (segment !== null) this.durable.push(segment);
  }
}
