import { assert } from "#replica/base/assert.ts";
import type { Checksum } from "#replica/base/brands.ts";
import type { BlockAddress, Hash } from "#replica/snapshot/port.ts";
import type { Storage } from "#replica/wire/storage-port.ts";
import { readRuns } from "./read-runs.ts";

/** Blocks under repair at most; more wait until one is done. */
export const repairsMax = 64;
/** Times that a block was asked for in vain after which no peer seems to have it. */
export const starvedTries = 20;

/** One damaged block that a peer is asked for. */
interface Repair {
  readonly address: BlockAddress;
  readonly digest: Checksum;
  readonly waiting: ((bytes: Uint8Array | null) => void)[];
  /** The log or a checkpoint cannot go on without it; otherwise only a reader waits. */
  needed: boolean;
  retryAtMs: number;
  /** Turns from one peer to the other at every try. */
  tries: number;
}

/** What the store needs of its host. */
export interface BlockStorePorts {
  readonly storage: Storage;
  readonly hash: Hash;
  readonly nowMs: () => number;
  /** From asking a peer for a block to asking the other one, ms. */
  readonly repairRetryMs: number;
  /** Digest that a block must have, or null when no live segment has it. */
  readonly digestOf: (address: BlockAddress) => Checksum | null;
  /** What that block must be, when memory knows: a manifest's. */
  readonly ownCopy: (address: BlockAddress) => Uint8Array | null;
  /** Asks a peer (0 or 1: which of the two) for a block. */
  readonly ask: (peer: number, address: BlockAddress) => void;
  readonly alarm: (what: string) => void;
  /** A needed block has been asked of both peers in vain for some seconds; or that is over. */
  readonly starved: (starved: boolean) => void;
}

function keyOf(segment: string, block: number): string {
  return `${segment}/${block}`;
}

/** Reads blocks of state; a damaged one is fetched from a peer, repaired in place, and given. */
export class BlockStore {
  private readonly ports: BlockStorePorts;
  private readonly repairs = new Map<string, Repair>();
  private readonly loads = new Set<number>();
  /** Number of the next load; loads with a lower one may still read what is garbage by now. */
  loadNext = 1;
  private starved = false;
  /** Blocks repaired since the start. */
  repairedCount = 0;

  /** Does nothing until asked. */
  constructor(ports: BlockStorePorts) {
    this.ports = ports;
  }

  /** Number of the oldest load that is not done; Infinity = none. */
  get loadOldest(): number {
    for (const load of this.loads) return load;
    return Number.POSITIVE_INFINITY;
  }

  /** Blocks under repair now. */
  get repairsCount(): number {
    return this.repairs.size;
  }

  /** When {@link tick} is wanted, ms; Infinity = never. */
  get deadlineMs(): number {
    let deadline = Number.POSITIVE_INFINITY;
    for (const repair of this.repairs.values()) deadline = Math.min(deadline, repair.retryAtMs);
    return deadline;
  }

  /**
   * All blocks in the order of `addresses`, however long a repair takes; null when a state sync
   * has replaced their segments meanwhile. `done` comes later. `needed`: the log or a checkpoint
   * cannot go on without them.
   */
  load(
    addresses: readonly BlockAddress[],
    done: (blocks: readonly Uint8Array[] | null) => void,
    needed = false,
  ): void {
    assert(addresses.length > 0, "SRV-02: a load names blocks");
    const blocks = new Array<Uint8Array | null>(addresses.length).fill(null);
    let left = addresses.length;
    const number = this.loadNext;
    this.loadNext += 1;
    this.loads.add(number);
    const give = (index: number, bytes: Uint8Array | null): void => {
      blocks[index] = bytes;
      left -= 1;
      if (left > 0) return;
      this.loads.delete(number);
      const whole = blocks.filter((block) => block !== null);
      done(whole.length === blocks.length ? whole : null);
    };
    readRuns(this.ports.storage, addresses, (index, bytes) => {
      const address = addresses[index];
      assert(address !== undefined, "SRV-02: a block as asked for");
      if (bytes === null) this.repair(address, (found) => give(index, found), needed);
      else give(index, bytes);
    });
  }

  /** A chunk from a peer; true when it was a block under repair. */
  receive(segment: string, block: number, bytes: Uint8Array): boolean {
    const key = keyOf(segment, block);
    const repair = this.repairs.get(key);
    if (repair === undefined) return false;
    if (this.ports.hash(bytes) !== repair.digest) return true;
    this.repairs.delete(key);
    const kept = bytes.slice();
    this.ports.storage.repairBlock(segment, block, kept, () => {
      this.repairedCount += 1;
      for (const give of repair.waiting) give(kept);
    });
    this.tellStarved();
    return true;
  }

  /** Asks again for what did not come. */
  tick(nowMs: number): void {
    for (const repair of this.repairs.values()) {
      if (nowMs >= repair.retryAtMs) this.ask(repair, nowMs);
    }
    this.tellStarved();
  }

  private tellStarved(): void {
    let starved = false;
    for (const { needed, tries } of this.repairs.values()) {
      if (needed && tries >= starvedTries) starved = true;
    }
    if (starved === this.starved) return;
    this.starved = starved;
    this.ports.starved(starved);
  }

  /** A state sync has replaced the state: blocks that no live segment has are given up. */
  forget(): void {
    for (const [key, { address, waiting }] of [...this.repairs]) {
      if (this.ports.digestOf(address) !== null) continue;
      this.repairs.delete(key);
      for (const give of waiting) give(null);
    }
    this.tellStarved();
  }

  private repair(
    address: BlockAddress,
    give: (bytes: Uint8Array | null) => void,
    needed: boolean,
  ): void {
    const key = keyOf(address.segment, address.block);
    const known = this.repairs.get(key);
    if (known !== undefined) {
      known.waiting.push(give);
      known.needed ||= needed;
      return;
    }
    const digest = this.ports.digestOf(address);
    if (digest === null) {
      this.rewrite(address, give);
      return;
    }
    assert(this.repairs.size < repairsMax, "SRV-03: repairs are bounded by what asks for them");
    const repair: Repair = { address, digest, needed, waiting: [give], retryAtMs: 0, tries: 0 };
    this.repairs.set(key, repair);
    this.ports.alarm(`block ${key} is damaged; asking a peer for it`);
    this.ask(repair, this.ports.nowMs());
  }

  /** A block that no segment index knows: of a manifest, or of a state that is gone. */
  private rewrite(address: BlockAddress, give: (bytes: Uint8Array | null) => void): void {
    const bytes = this.ports.ownCopy(address);
    if (bytes === null) {
      give(null);
      return;
    }
    this.ports.storage.repairBlock(address.segment, address.block, bytes, () => {
      this.repairedCount += 1;
      give(bytes);
    });
  }

  private ask(repair: Repair, nowMs: number): void {
    repair.retryAtMs = nowMs + this.ports.repairRetryMs;
    this.ports.ask(repair.tries % 2, repair.address);
    repair.tries += 1;
  }
}
