import { diskUnitBytes } from "#replica/base/limits.ts";
import { crc32, sha256 } from "#replica/crypto/hash.ts";
import type { NodeVault } from "#replica/crypto/node-vault.ts";
import { sectorsCount } from "#replica/journal/geometry.ts";
import { journalToolsFrom } from "#replica/journal/journal-tools.ts";
import { type RecoveredWal, recoverWal } from "#replica/journal/recover-wal.ts";
import {
  peekShard,
  poisonMarkAt,
  superblockCopies,
  superblockCopyBytes,
  type SuperblockChoice,
  superblockZoneBytes,
} from "#replica/journal/superblock-copies.ts";
import type { SlotBody } from "#replica/journal/wal-slot.ts";
import { frameScopeFrom } from "#replica/wire/frame.ts";
import type { PrepareHeader } from "#replica/wire/prepare.ts";
import type { SuperblockState } from "#replica/wire/superblock.ts";
import type { FileDisk } from "./file-disk.ts";
import { readSuperblockZone } from "./load-superblock.ts";
import { damagedAt, scanLog } from "./scan-log.ts";
import {
  blockHeaderBytes,
  decodeBlock,
  decodeSegmentTable,
  segmentTablesBytes,
} from "./segment-layout.ts";
import type { StorageTools } from "./storage-tools.ts";
import { Volume } from "./volume.ts";

/** Something wrong, for a person: where, and what it means. */
export interface InspectedFault {
  readonly file: string;
  readonly offset: number;
  readonly what: string;
}

/** What a data directory holds. */
export interface Inspection {
  /** Null: the superblock is blank, refused or unreadable; `faults` says why. */
  readonly state: SuperblockState | null;
  readonly link: { readonly number: number; readonly slotBytes: number } | null;
  readonly wal: RecoveredWal | null;
  readonly sectors: number;
  readonly segments: { readonly files: number; readonly blocks: number };
  readonly faults: readonly InspectedFault[];
}

class InspectedVolume extends Volume {
  private readonly keyed: boolean;

  constructor(tools: StorageTools, state: SuperblockState, slotBytes: number, keyed: boolean) {
    super(tools, state.identity, { slotsCount: state.identity.walSlotsCount, slotBytes });
    this.keyed = keyed;
  }

  /** Without the key the stamps and the header vouch for a slot, the body is not opened. */
  override openPrepare(slot: number, header: PrepareHeader, body: SlotBody): Uint8Array | null {
    return this.keyed ? super.openPrepare(slot, header, body) : new Uint8Array(0);
  }
}

const noVault = {
  seal(): never {
    throw new Error("inspection writes nothing");
  },
  open: () => null,
  rotate: () => undefined,
};

function toolsOf(disk: FileDisk, vault: NodeVault | null, first: Uint8Array): StorageTools {
  const shard = peekShard(first) ?? { cluster: "0".repeat(32), shard: "unknown" };
  const scope = frameScopeFrom({ ...shard, hash: sha256 });
  return {
    ...journalToolsFrom(scope, crc32),
    disk,
    vault: vault ?? noVault,
    later: (run) => setImmediate(run),
    poisoned: () => undefined,
  };
}

function read(
  disk: FileDisk,
  zone: Parameters<FileDisk["read"]>[0],
  offset: number,
  length: number,
): Promise<Uint8Array | null> {
  return new Promise((resolve) => disk.read(zone, offset, length, resolve));
}

/** Reads everything, changes nothing. `vault` null: bodies are not decrypted. */
export async function inspectVolume(disk: FileDisk, vault: NodeVault | null): Promise<Inspection> {
  const faults: InspectedFault[] = [];
  const zone = await read(disk, { kind: "superblock" }, 0, superblockZoneBytes);
  const bytes = zone ?? new Uint8Array(superblockZoneBytes);
  const found = Array.from({ length: superblockCopies }, (_, i) => {
    return bytes.subarray(i * superblockCopyBytes, (i + 1) * superblockCopyBytes);
  });
  const named = found.find((copy) => peekShard(copy) !== null) ?? bytes;
  const tools = toolsOf(disk, vault, named);
  const { choice, poison } = readSuperblockZone(tools, bytes);
  const superblock = "superblock";
  if (zone === null) faults.push({ file: superblock, offset: 0, what: "cannot be read" });
  if (poison !== null) {
    faults.push({ file: superblock, offset: poisonMarkAt, what: `marked as lost: ${poison}` });
  }
  for (const fault of choiceFaults(choice)) faults.push(fault);
  const segments = await inspectSegments(disk, tools, faults);
  if (choice.kind !== "chosen") {
    return { state: null, link: null, wal: null, sectors: 0, segments, faults };
  }
  const { state, slotBytes } = choice.content;
  const volume = new InspectedVolume(tools, state, slotBytes, vault !== null);
  const wal = await inspectLog(volume, state, faults);
  const link = { number: choice.link.number, slotBytes };
  return { state, link, wal, sectors: sectorsCount(volume.geometry), segments, faults };
}

function choiceFaults(choice: SuperblockChoice): readonly InspectedFault[] {
  const file = "superblock";
  const at = (copy: number): number => copy * superblockCopyBytes;
  if (choice.kind === "refused") {
    return [{ file, offset: at(choice.copy), what: `${choice.code}: ${choice.detail}` }];
  }
  if (choice.kind !== "chosen") {
    const what = choice.kind === "blank" ? "not formatted" : "its first write was cut off";
    return [{ file, offset: 0, what }];
  }
  return choice.stale.map((copy) => {
    return { file, offset: at(copy), what: `copy ${copy} is damaged or older; open heals it` };
  });
}

async function inspectLog(
  volume: Volume,
  superblock: SuperblockState,
  faults: InspectedFault[],
): Promise<RecoveredWal> {
  const scan = await new Promise<Parameters<Parameters<typeof scanLog>[1]>[0]>((resolve) => {
    scanLog(volume, resolve);
  });
  const { geometry } = volume;
  const { scans } = scan;
  const wal = recoverWal({ geometry, superblock, ...scan });
  for (const verdict of wal.verdicts) {
    if (verdict.state !== "faulty") continue;
    const facts = scans[verdict.slot];
    const unit = facts?.kind === "invalid" ? facts.unit : 0;
    const offset = damagedAt(geometry, verdict.slot, unit);
    const what = `op ${verdict.op}, slot ${verdict.slot}: ${verdict.row.because}`;
    faults.push({ file: "prepares", offset, what });
  }
  for (const sector of scan.sectorsDamaged) {
    const what = `a copy of sector ${sector} is damaged; open heals it`;
    faults.push({ file: "identifiers", offset: sector * diskUnitBytes, what });
  }
  if (wal.beyond !== null) {
    const what = `op ${wal.beyond} is beyond what the superblock allows: rolled back`;
    faults.push({ file: "prepares", offset: 0, what });
  }
  return wal;
}

/** Checks every block's checksum as stored; needs no key. */
async function inspectSegments(
  disk: FileDisk,
  tools: StorageTools,
  faults: InspectedFault[],
): Promise<{ readonly files: number; readonly blocks: number }> {
  const ids = await new Promise<readonly string[] | null>((done) => disk.listSegments(done));
  let blocks = 0;
  for (const id of ids ?? []) {
    const zone = { kind: "segment", id } as const;
    const file = `segments/${id}`;
    const tables = await read(disk, zone, 0, segmentTablesBytes);
    const a = tables && decodeSegmentTable(tools, tables.subarray(0, diskUnitBytes), 0);
    const b = tables && decodeSegmentTable(tools, tables.subarray(diskUnitBytes), 1);
    const table = a ?? b;
    if (table === null || a === null || b === null) {
      faults.push({ file, offset: a === null ? 0 : diskUnitBytes, what: "table is damaged" });
    }
    for (const [block, offset] of (table?.offsets ?? []).entries()) {
      blocks += 1;
      const bytes = blockHeaderBytes + (table?.lengths[block] ?? 0);
      const stored = await read(disk, zone, offset, bytes);
      if (stored !== null && decodeBlock(tools, block, stored) !== null) continue;
      faults.push({ file, offset, what: `block ${block} is damaged` });
    }
  }
  return { files: ids?.length ?? 0, blocks };
}
