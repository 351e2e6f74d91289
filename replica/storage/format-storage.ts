import { assert } from "#replica/base/assert.ts";
import {
  type Checksum,
  checksumZero,
  incarnationFrom,
  type Op,
  opFrom,
  replicaFrom,
  timestampFrom,
  type View,
  viewFrom,
} from "#replica/base/brands.ts";
import { diskUnitBytes, walSlotBytes } from "#replica/base/limits.ts";
import {
  checkGeometry,
  identifiersBytes,
  identifiersPerSector,
  preparesBytes,
  sectorOffset,
} from "#replica/journal/geometry.ts";
import { encodeSector, identifierAbsent } from "#replica/journal/identifier-sector.ts";
import { superblockZoneBytes } from "#replica/journal/superblock-copies.ts";
import { encodeSlot, slotWriteBytes } from "#replica/journal/wal-slot.ts";
import type { CheckpointDescriptor } from "#replica/wire/peer-message.ts";
import type { Prepare, PrepareFields } from "#replica/wire/prepare.ts";
import {
  freshStanding,
  type Member,
  type SuperblockState,
  type VolumeIdentity,
} from "#replica/wire/superblock.ts";
import { hasLog, readSuperblockZone } from "./load-superblock.ts";
import { refuseFormatted, refuseIo } from "./refusals.ts";
import type { Refusal, StorageTools } from "./storage-tools.ts";
import { SuperblockWriter } from "./superblock-writer.ts";
import { Volume } from "./volume.ts";

/** What genesis, or the replacement of a lost disk, decides about a volume. */
export interface FormatOptions extends StorageTools {
  readonly identity: VolumeIdentity;
  readonly members: readonly Member[];
  readonly slots: SuperblockState["slots"];
  /** Op 0, from {@link genesisRoot}: the same bytes on all replicas. */
  readonly root: Prepare;
  /** Of op 0, equal on all replicas. */
  readonly checkpoint: CheckpointDescriptor;
  /** True for a replacement: the replica is a learner until it has caught up (A11). */
  readonly recovering: boolean;
  /** 0 at genesis; A11 step 3 at replacement. */
  readonly voteFloor: View;
  /** A replacement votes once it holds everything up to the last no-op after its REPLACE. */
  readonly learnOp?: Op;
}

/** How a format ended. */
export type Formatted = { readonly ok: true } | Refusal;

/**
 * The root prepare of a formation. Every replica makes the same bytes, so it names no author's
 * life and bears no signature; the formation id is in its checksum.
 */
export function genesisRoot(
  seal: (fields: PrepareFields, body: Uint8Array) => Prepare,
  formationId: Checksum,
  body: Uint8Array,
): Prepare {
  const fields: PrepareFields = {
    kind: "root",
    op: opFrom(0),
    view: viewFrom(0),
    author: replicaFrom(0),
    incarnation: incarnationFrom(formationId.slice(0, 32)),
    parent: checksumZero,
    timestampUs: timestampFrom(0),
    commitMax: opFrom(0),
    quorumCheckpointOp: opFrom(0),
    checkpointId: formationId,
    machineVersion: 1,
    requestsCount: 0,
  };
  const { header } = seal(fields, body);
  return { header: { ...header, signature: new Uint8Array(64) }, body };
}

/** The checkpoint of op 0 for a machine whose empty state has that manifest. */
export function genesisCheckpoint(
  root: Prepare,
  id: Checksum,
  manifest: { readonly root: Checksum; readonly bytes: number },
): CheckpointDescriptor {
  return {
    id,
    parentId: checksumZero,
    op: root.header.op,
    opChecksum: root.header.checksum,
    root: manifest.root,
    manifestBytes: manifest.bytes,
  };
}

/**
 * Formats an empty volume: both rings zero-filled, root prepare, then the first superblock, which
 * makes it formatted. Refuses a formatted one; a format that was cut off may be run again.
 */
export function formatStorage(options: FormatOptions, done: (r: Formatted) => void): void {
  const slotBytes = options.slotBytes ?? walSlotBytes;
  const geometry = checkGeometry({ slotsCount: options.identity.walSlotsCount, slotBytes });
  assert(options.root.header.op === 0, "STO-08: the root is op 0");
  assert(options.checkpoint.opChecksum === options.root.header.checksum, "STO-08: of the root");
  const { disk } = options;
  const superblock = { kind: "superblock" } as const;
  disk.read(superblock, 0, superblockZoneBytes, (bytes) => {
    if (bytes === null) {
      done(refuseIo("superblock", 0, "a read"));
    } else if (isFormatted(options, bytes)) {
      done(refuseFormatted("superblock", 0, "is not empty"));
    } else {
      hasLog(options, (log) => {
        if (log) done(refuseFormatted("prepares", slotBytes, "holds a log"));
        else new Format(new Volume(options, options.identity, geometry), options, done).run();
      });
    }
  });
}

function isFormatted(tools: StorageTools, zoneBytes: Uint8Array): boolean {
  const { choice, poison } = readSuperblockZone(tools, zoneBytes);
  return poison !== null || (choice.kind !== "blank" && choice.kind !== "unfinished");
}

class Format {
  private readonly volume: Volume;
  private readonly options: FormatOptions;
  private readonly done: (r: Formatted) => void;

  constructor(volume: Volume, options: FormatOptions, done: (r: Formatted) => void) {
    this.volume = volume;
    this.options = options;
    this.done = done;
  }

  run(): void {
    const { geometry } = this.volume;
    this.create("prepares", preparesBytes(geometry), () => {
      this.create("identifiers", identifiersBytes(geometry), () => {
        this.writeRoot(() => {
          this.create("superblock", superblockZoneBytes, () => this.writeSuperblock());
        });
      });
    });
  }

  private create(
    kind: "prepares" | "identifiers" | "superblock",
    bytes: number,
    next: () => void,
  ): void {
    this.options.disk.create({ kind }, bytes, (result) => {
      if (result === "ok") next();
      else this.done(refuseIo(kind, 0, "creation"));
    });
  }

  private writeRoot(next: () => void): void {
    const { volume, options } = this;
    const { header, body } = options.root;
    const sealed = volume.sealPrepare(0, header, body);
    const slot = new Uint8Array(slotWriteBytes(body.length));
    encodeSlot(volume.tools, header, sealed, slot, 0);
    options.disk.write({ kind: "prepares" }, 0, slot, (result) => {
      if (result === "ok") this.writeRootIdentifier(next);
      else this.done(refuseIo("prepares", 0, "a write"));
    });
  }

  private writeRootIdentifier(next: () => void): void {
    const { volume, options } = this;
    const { header } = options.root;
    const sector = new Uint8Array(diskUnitBytes);
    const entries = new Array(identifiersPerSector).fill(identifierAbsent);
    entries[0] = { state: "present", op: header.op, header };
    encodeSector(volume.tools, { sector: 0, copy: 0, sequence: 1 }, entries, sector, 0);
    const offset = sectorOffset(0, 0, volume.geometry);
    options.disk.write({ kind: "identifiers" }, offset, sector, (result) => {
      if (result === "ok") next();
      else this.done(refuseIo("identifiers", offset, "a write"));
    });
  }

  private writeSuperblock(): void {
    const { volume, options } = this;
    const none = { number: 0, checksum: checksumZero, state: null, parent: null };
    const writer = new SuperblockWriter(volume, none, {
      barrier: (run) => run(),
      durable: () => undefined,
    });
    const state: SuperblockState = {
      sequence: 1,
      identity: options.identity,
      members: options.members,
      view: viewFrom(0),
      logView: viewFrom(0),
      // The head's header survives the root's slot and identifier: its body nobody needs.
      viewHeaders: [options.root.header],
      commitMax: opFrom(0),
      checkpoint: options.checkpoint,
      kept: [],
      quorumCheckpointOp: opFrom(0),
      recovering: options.recovering,
      voteFloor: options.voteFloor,
      faultyOps: [],
      slots: options.slots,
      standing: freshStanding(options.learnOp ?? 0),
    };
    writer.write(state, () => this.done({ ok: true }));
  }
}
