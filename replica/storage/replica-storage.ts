import { assert } from "#replica/base/assert.ts";
import type { Checksum, Op } from "#replica/base/brands.ts";
import type { SectorPlace } from "./identifier-writer.ts";
import { sectorsCount } from "#replica/journal/geometry.ts";
import type { StoredIdentifier } from "#replica/journal/identifier-sector.ts";
import { superblockCopies } from "#replica/journal/superblock-copies.ts";
import type { Prepare } from "#replica/wire/prepare.ts";
import type { Storage, WriteMode } from "#replica/wire/storage-port.ts";
import type { SuperblockState } from "#replica/wire/superblock.ts";
import { IdentifierWriter } from "./identifier-writer.ts";
import { PrepareReader } from "./prepare-reader.ts";
import { PrepareWriter, type SlotState } from "./prepare-writer.ts";
import type { ScrubSizes } from "./scrub-round.ts";
import type { ScrubFinding, ScrubStorage, SlotFault } from "./scrubber.ts";
import { SegmentStore } from "./segment-store.ts";
import { SuperblockWriter } from "./superblock-writer.ts";
import type { Volume } from "./volume.ts";

/** What opening a volume found out: everything that is durable now, in memory's form. */
export interface DurableState {
  readonly slots: readonly SlotState[];
  readonly identifiers: readonly StoredIdentifier[];
  readonly sectors: readonly SectorPlace[];
  readonly superblock: {
    readonly number: number;
    readonly checksum: Checksum;
    readonly state: SuperblockState | null;
    readonly parent: Checksum | null;
  };
}

/**
 * A replica's durable storage over a Disk and a Vault; made by `openStorage` only. The same class
 * runs over files and in the simulator: callbacks, no clock, no chance, nothing of Node.
 */
export class ReplicaStorage implements Storage, ScrubStorage {
  private readonly volume: Volume;
  private readonly identifiers: IdentifierWriter;
  private readonly prepares: PrepareWriter;
  private readonly reader: PrepareReader;
  private readonly superblock: SuperblockWriter;
  private readonly segments: SegmentStore;

  constructor(volume: Volume, durable: DurableState) {
    this.volume = volume;
    const { identifiers, sectors, superblock } = durable;
    this.identifiers = new IdentifierWriter(volume, identifiers, sectors, superblock.state);
    this.prepares = new PrepareWriter(volume, this.identifiers, durable.slots);
    this.reader = new PrepareReader(volume, this.prepares);
    this.superblock = new SuperblockWriter(volume, superblock, {
      barrier: (done) => this.identifiers.barrier(done),
      durable: (state) => this.identifiers.judgeBy(state),
    });
    this.segments = new SegmentStore(volume);
  }

  /** True once a write failed: nothing completes any more. */
  get poisoned(): boolean {
    return this.volume.poisoned;
  }

  writePrepare(prepare: Prepare, done: () => void, mode: WriteMode = "queued"): void {
    // The slot holds what the checkpoint must have reached before it may go (A7).
    const { slotsCount } = this.volume.geometry;
    this.superblock.afterCheckpoint(prepare.header.op - slotsCount, () => {
      this.prepares.write(prepare, done, mode);
    });
  }

  readPrepare(op: Op, checksum: Checksum, done: (prepare: Prepare | null) => void): void {
    this.reader.read(op, checksum, done);
  }

  writeSuperblock(state: SuperblockState, done: () => void): void {
    const { identity, geometry } = this.volume;
    assert(state.identity.replica === identity.replica, "STO-05: same replica");
    assert(state.identity.walSlotsCount === geometry.slotsCount, "STO-05: same ring");
    this.superblock.write(state, done);
  }

  writeSegment(id: string, blocks: readonly Uint8Array[], done: () => void): void {
    this.segments.write(id, blocks, done);
  }

  readBlock(id: string, block: number, done: (bytes: Uint8Array | null) => void): void {
    this.segments.read(id, block, done);
  }

  readBlocks(
    id: string,
    first: number,
    count: number,
    done: (blocks: readonly (Uint8Array | null)[]) => void,
  ): void {
    this.segments.readRun(id, first, count, done);
  }

  placeOfBlock(id: string, block: number, done: (offset: number) => void): void {
    this.segments.place(id, block, done);
  }

  repairBlock(id: string, block: number, bytes: Uint8Array, done: () => void): void {
    this.segments.repair(id, block, bytes, done);
  }

  removeSegments(ids: readonly string[], done: () => void): void {
    this.segments.remove(ids, done);
  }

  listSegments(done: (ids: readonly string[]) => void): void {
    this.segments.list(done);
  }

  get scrubSizes(): ScrubSizes {
    const { geometry } = this.volume;
    const sectors = sectorsCount(geometry);
    return { copies: superblockCopies, sectors, slots: geometry.slotsCount };
  }

  scrubSuperblock(copy: number, done: (finding: ScrubFinding) => void): void {
    this.superblock.scrub(copy, done);
  }

  scrubSector(sector: number, done: (finding: ScrubFinding) => void): void {
    this.identifiers.scrub(sector, done);
  }

  holdsPrepare(slot: number): boolean {
    return this.reader.holds(slot);
  }

  scrubSlot(slot: number, done: (finding: ScrubFinding, fault: SlotFault | null) => void): void {
    this.reader.scrub(slot, done);
  }

  scrubTable(id: string, done: (finding: ScrubFinding, blocks: number) => void): void {
    this.segments.scrubTable(id, done);
  }

  /** Has every identifier written that still lags; `done` later. For a clean stop and for tests. */
  settle(done: () => void): void {
    this.volume.tools.later(() => this.identifiers.barrier(done));
  }

  /** Internal to opening: writes identifiers that recovery changed or that must be rewritten. */
  restate(
    changed: readonly { readonly slot: number; readonly entry: StoredIdentifier }[],
    sectors: readonly number[],
    done: () => void,
  ): void {
    for (const { slot, entry } of changed) this.identifiers.set(slot, entry);
    for (const sector of sectors) this.identifiers.touch(sector);
    this.identifiers.barrier(done);
  }
}
