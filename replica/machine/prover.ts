import { assert } from "#replica/base/assert.ts";
import { bytesConcat } from "#replica/base/bytes.ts";
import type { SubtreeHash } from "#replica/proof/merkle.ts";
import {
  consistencyProof,
  inclusionProof,
  nodeHash,
  treeHashBytes,
  treeRoot,
} from "#replica/proof/merkle.ts";
import type { Digest } from "#replica/proof/merkle.ts";
import type { HashInto } from "#replica/proof/hash-many.ts";
import { recordLogIndex, recordSize, tileBits, tileLeaves } from "#replica/proof/peaks.ts";
import type { Receipt } from "#replica/proof/receipt.ts";
import { blindOf } from "#replica/proof/room-record.ts";
import type { RoomName } from "#replica/wire/client-message.ts";
import { bigTileLeaves } from "./big-tiles.ts";
import { LeafHasher } from "./leaf-hasher.ts";
import type { Ledger } from "./ledger.ts";
import type { MachineTables } from "./machine-tables.ts";
import type { BlockAddress, LoadedBlock } from "./port.ts";
import { logTape, tileTape } from "./proof-tapes.ts";
import type { EntryPlace } from "./room-reader.ts";
import { stubBytes } from "./sweeper.ts";
import { BlockFinder, gather } from "./room-reader.ts";

/** A proof, blocks to load before it can be made, or why there is none. */
export type ProveStep<T> =
  | { readonly kind: "done"; readonly value: T }
  | { readonly kind: "load"; readonly addresses: readonly BlockAddress[] }
  /** A large room's tree is known a little further: ask again, after other events' turns. */
  | { readonly kind: "more" }
  /** no_entry: never was, or below the floor. pending: not yet under a signed checkpoint. */
  | { readonly kind: "no_room" | "no_entry" | "pending" };

/** Proof of a room's record in the shard's log. */
export interface RoomProof {
  readonly blind: Uint8Array;
  /** Seq of the first entry kept. */
  readonly first: number;
  /** Frontier of the entries before it. */
  readonly frontier: Uint8Array;
  readonly size: number;
  readonly logIndex: number;
  readonly logProof: readonly Uint8Array[];
}

/** Entries as they may be shown: without what was redacted. */
export type ShowEntries = (room: number, places: readonly EntryPlace[]) => readonly EntryPlace[];

const nothing = new Uint8Array(treeHashBytes);

/**
 * Makes one proof of what the ledger has. Runs to the end with zeros where a block is missing,
 * names those blocks, and runs again when they are there; nothing changes meanwhile.
 */
export class Prover {
  private readonly tables: MachineTables;
  private readonly ledger: Ledger;
  private readonly digest: Digest;
  private readonly leaves: LeafHasher;
  private readonly loaded: readonly LoadedBlock[];
  private readonly show: ShowEntries;
  private readonly missing = new Map<string, BlockAddress>();
  private readonly finder = new BlockFinder();
  /** Times that something was not there. */
  private misses = 0;
  /** Big tiles that this run may still make; below zero: it needed more. */
  private bigTilesLeft: number;

  constructor(
    tables: MachineTables,
    ledger: Ledger,
    hash: HashInto,
    show: ShowEntries,
    loaded: readonly LoadedBlock[],
  ) {
    this.tables = tables;
    this.show = show;
    this.ledger = ledger;
    this.bigTilesLeft = ledger.bigTiles.atOnceMax;
    this.digest = (bytes) => {
      const into = new Uint8Array(treeHashBytes);
      hash(bytes, into, 0);
      return into;
    };
    this.leaves = new LeafHasher(hash);
    this.loaded = loaded;
  }

  /** From an entry to the log of `logSize` leaves; everything of a receipt but the checkpoint. */
  receipt(name: RoomName, seq: number, logSize: number): ProveStep<Omit<Receipt, "checkpoint">> {
    const { tables, digest } = this;
    const room = tables.find(name);
    if (room < 0) return { kind: "no_room" };
    const page = tables.rooms.page(room);
    const at = tables.rooms.at(room);
    if (seq < Math.max(1, page.floor[at] ?? 1) || seq > (page.head[at] ?? 0)) {
      return { kind: "no_entry" };
    }
    const record = this.record(room);
    if (record === null || this.missing.size > 0) return this.ended<never>(null);
    const roomSize = recordSize(record);
    const logIndex = recordLogIndex(record);
    if (seq > roomSize || logIndex >= logSize) return { kind: "pending" };
    this.leaves.open(tables.rooms.nameRecord(room));
    const roomProof = inclusionProof(digest, this.roomTree(room), seq - 1, roomSize);
    const logProof = inclusionProof(digest, this.logTree(), logIndex, logSize);
    const [entry] = this.show(room, this.entries(room, seq, seq));
    if (entry === undefined) return this.ended<never>(null);
    const bytes = entry.bytes.slice(entry.at, entry.at + entry.length);
    const blind = blindOf(digest, tables.state.seed, name);
    return this.ended({ name, blind, entry: bytes, roomSize, roomProof, logIndex, logProof });
  }

  /** Proof of a room's newest record, for an export of its entries. */
  room(name: RoomName, logSize: number): ProveStep<RoomProof> {
    const room = this.tables.find(name);
    if (room < 0) return { kind: "no_room" };
    const record = this.record(room);
    if (record === null || this.missing.size > 0) return this.ended<never>(null);
    const logIndex = recordLogIndex(record);
    if (logIndex >= logSize) return { kind: "pending" };
    const logProof = inclusionProof(this.digest, this.logTree(), logIndex, logSize);
    const blind = blindOf(this.digest, this.tables.state.seed, name);
    const { rooms } = this.tables;
    const first = Math.max(1, rooms.page(room).floor[rooms.at(room)] ?? 1);
    const frontier = this.frontier(room, first - 1);
    return this.ended({ blind, first, frontier, size: recordSize(record), logIndex, logProof });
  }

  /**
   * Frontier of the first `size` entries of a room, 32 bytes a hash, the largest subtree first.
   * Whole tiles need no entries: retention drops whole tiles only.
   */
  frontier(room: number, size: number): Uint8Array {
    this.leaves.open(this.tables.rooms.nameRecord(room));
    const tree = this.roomTree(room);
    const peaks: Uint8Array[] = [];
    let count = 1;
    while (count * 2 <= size) count *= 2;
    for (let first = 0; first < size; count = Math.floor(count / 2)) {
      if (first + count > size) continue;
      peaks.push(tree(first, count));
      first += count;
    }
    return bytesConcat(peaks);
  }

  /** That the log of `newSize` leaves extends that of `oldSize`. */
  consistency(oldSize: number, newSize: number): ProveStep<readonly Uint8Array[]> {
    if (oldSize > newSize) return { kind: "pending" };
    return this.ended(consistencyProof(this.digest, this.logTree(), oldSize, newSize));
  }

  /** Root of the first `size` leaves of the log. */
  root(size: number): ProveStep<Uint8Array> {
    return this.ended(treeRoot(this.digest, this.logTree(), size));
  }

  private ended<T>(value: T | null): ProveStep<T> {
    if (this.missing.size > 0) return { kind: "load", addresses: [...this.missing.values()] };
    if (this.bigTilesLeft < 0) return { kind: "more" };
    return value === null ? { kind: "pending" } : { kind: "done", value };
  }

  private record(room: number): Uint8Array | null {
    const found = this.ledger.frontierOf(room, this.loaded);
    if (found === null || found instanceof Uint8Array) return found;
    this.want(found);
    return null;
  }

  private want(address: BlockAddress): void {
    this.misses += 1;
    this.missing.set(`${address.segment} ${address.block}`, address);
  }

  private item(tape: number, seq: number): Uint8Array {
    const found = this.ledger.item(tape, seq, this.loaded, this.finder);
    if (found instanceof Uint8Array) return found;
    this.want(found);
    return nothing;
  }

  /** Root of a complete tree over hashes, a power of two of them. */
  private fold(hashes: readonly Uint8Array[]): Uint8Array {
    let level = hashes;
    while (level.length > 1) {
      const above: Uint8Array[] = [];
      for (let i = 0; i < level.length; i += 2) {
        above.push(nodeHash(this.digest, level[i] ?? nothing, level[i + 1] ?? nothing));
      }
      level = above;
    }
    const [root] = level;
    assert(root !== undefined, "MCH-22: a subtree has leaves");
    return root;
  }

  private logTree(): SubtreeHash {
    return (first, count) => {
      let level = 0;
      let width = 1;
      while (width * tileLeaves <= count) {
        width *= tileLeaves;
        level += 1;
      }
      const tape = logTape(level);
      const seq = first / width + 1;
      const hashes = Array.from({ length: count / width }, (_, i) => this.item(tape, seq + i));
      return this.fold(hashes);
    };
  }

  private roomTree(room: number): SubtreeHash {
    return (first, count) => {
      if (count >= bigTileLeaves) {
        const number = first / bigTileLeaves;
        const tiles = count / bigTileLeaves;
        return this.fold(Array.from({ length: tiles }, (_, i) => this.bigTile(room, number + i)));
      }
      if (count >= tileLeaves) return this.tiles(room, first / tileLeaves, count / tileLeaves);
      const places = this.entries(room, first + 1, first + count);
      if (places.length < count) return nothing;
      return this.fold(
        places.map(({ bytes, at, length }) => {
          // What a sweep left of an entry below the floor is the hash of its leaf.
          if (length === stubBytes) return bytes.slice(at, at + length);
          const leaf = new Uint8Array(treeHashBytes);
          this.leaves.leaf(bytes, at, length, leaf, 0);
          return leaf;
        }),
      );
    };
  }

  /** Root over some tiles of a room, from number `first` on. */
  private tiles(room: number, first: number, count: number): Uint8Array {
    const tape = tileTape(room);
    return this.fold(Array.from({ length: count }, (_, i) => this.item(tape, first + 1 + i)));
  }

  /** Root of a big tile: known, or made of its tiles, or nothing when this run has made enough. */
  private bigTile(room: number, number: number): Uint8Array {
    const { bigTiles } = this.ledger;
    const known = bigTiles.get(room, number);
    if (known !== null) return known;
    this.bigTilesLeft -= 1;
    if (this.bigTilesLeft < 0) return nothing;
    const before = this.misses;
    const root = this.tiles(room, number * tileLeaves, tileLeaves);
    if (this.misses === before) bigTiles.set(room, number, root);
    return root;
  }

  /** Entries [first, last] of a room, or nothing while blocks are missing. */
  private entries(room: number, first: number, last: number): readonly EntryPlace[] {
    const { store, rooms, history } = this.tables;
    const newest = rooms.page(room).newest[rooms.at(room)] ?? -1;
    const source = { store, history, loaded: this.loaded };
    const found = gather(source, room, newest, first, last);
    if (!("missing" in found)) return found;
    for (const address of found.missing) this.want(address);
    return [];
  }
}

assert(tileLeaves === 2 ** tileBits, "MCH-22: leaves of a tile");
