import { diskUnitBytes } from "#replica/base/limits.ts";
import {
  identifiersPerSector,
  sectorOffset,
  sectorsCount,
  slotOffset,
  type WalGeometry,
} from "#replica/journal/geometry.ts";
import {
  chooseSector,
  decodeSector,
  type Identifier,
  type SectorScan,
} from "#replica/journal/identifier-sector.ts";
import type { SlotFacts } from "#replica/journal/recover-wal.ts";
import { scanSlot } from "#replica/journal/wal-slot.ts";
import type { Disk } from "#replica/wire/storage-port.ts";
import type { SectorPlace } from "./identifier-writer.ts";
import type { Volume } from "./volume.ts";

const prepares = { kind: "prepares" } as const;
const identifiers = { kind: "identifiers" } as const;
/** Bytes of one read of the scan. */
const chunkBytes = 1024 * 1024;

/** Both rings as read, before anything is judged. */
export interface LogScan {
  readonly scans: readonly SlotFacts[];
  readonly identifiers: readonly Identifier[];
  readonly sectors: readonly SectorPlace[];
  /** Slots whose units agree but whose body no key opens; all of them: the wrong key table. */
  readonly unopened: number;
  /** By slot: both copies of its sector are sound, so that the newer one is the newest truth. */
  readonly identifiersSure: readonly boolean[];
  /** Sectors with a damaged copy. */
  readonly sectorsDamaged: readonly number[];
}

/** Reads a range in chunks; a chunk that the device refuses is read again `step` by `step`. */
export function readRange(
  disk: Disk,
  zone: { readonly kind: "prepares" } | { readonly kind: "identifiers" },
  range: { readonly bytes: number; readonly step: number },
  each: (offset: number, bytes: Uint8Array | null) => void,
  done: () => void,
): void {
  const chunk = Math.max(range.step, chunkBytes - (chunkBytes % range.step));
  const next = (offset: number, length: number): void => {
    if (offset >= range.bytes) {
      done();
      return;
    }
    const bytes = Math.min(length, range.bytes - offset);
    disk.read(zone, offset, bytes, (found) => {
      if (found === null && bytes > range.step) {
        next(offset, range.step);
        return;
      }
      for (let at = 0; at < bytes; at += range.step) {
        each(offset + at, found === null ? null : found.subarray(at, at + range.step));
      }
      next(offset + bytes, chunk);
    });
  };
  next(0, chunk);
}

/** Facts of one slot: its units, and whether its body opens and has its checksum. */
export function slotFacts(volume: Volume, slot: number, bytes: Uint8Array | null): SlotFacts {
  if (bytes === null) return { kind: "invalid", op: null, header: null, unit: 0 };
  const scan = scanSlot(volume.tools, volume.geometry, slot, bytes);
  if (scan.kind !== "whole") return scan;
  const { header, body, units } = scan;
  const id = { keyId: body.keyId, counter: body.counter };
  if (volume.openPrepare(slot, header, body) !== null) return { kind: "whole", header, id, units };
  return { kind: "invalid", op: header.op, header, unit: 0 };
}

/** Reads both rings completely. */
export function scanLog(volume: Volume, done: (scan: LogScan) => void): void {
  const { geometry, tools } = volume;
  const scans: SlotFacts[] = [];
  let unopened = 0;
  const { slotBytes } = geometry;
  const range = { bytes: geometry.slotsCount * slotBytes, step: slotBytes };
  const each = (_offset: number, bytes: Uint8Array | null): void => {
    const facts = slotFacts(volume, scans.length, bytes);
    if (facts.kind === "invalid" && facts.header !== null && facts.unit === 0) unopened += 1;
    scans[scans.length] = facts;
  };
  readRange(tools.disk, prepares, range, each, () => {
    scanIdentifiers(volume, (found) => done({ scans, unopened, ...found }));
  });
}

type IdentifierScan = Omit<LogScan, "scans" | "unopened">;

function scanIdentifiers(volume: Volume, done: (scan: IdentifierScan) => void): void {
  const { geometry, tools } = volume;
  const count = sectorsCount(geometry);
  const copies: SectorScan[] = [];
  const range = { bytes: 2 * count * diskUnitBytes, step: diskUnitBytes };
  const each = (offset: number, bytes: Uint8Array | null): void => {
    const copy = offset < sectorOffset(0, 1, geometry) ? 0 : 1;
    const place = { sector: copies.length - copy * count, copy } as const;
    copies[copies.length] =
      bytes === null ? { kind: "invalid" } : decodeSector(tools, place, bytes);
  };
  readRange(tools.disk, identifiers, range, each, () => done(chooseAll(geometry, copies)));
}

function chooseAll(geometry: WalGeometry, copies: readonly SectorScan[]): IdentifierScan {
  const count = sectorsCount(geometry);
  const entries: Identifier[] = [];
  const sectors: SectorPlace[] = [];
  const sectorsDamaged: number[] = [];
  const sure: boolean[] = [];
  for (let sector = 0; sector < count; sector += 1) {
    const a = copies[sector] ?? { kind: "invalid" };
    const b = copies[count + sector] ?? { kind: "invalid" };
    const chosen = chooseSector(a, b);
    sectors.push({ sequence: chosen.sequence, copy: chosen.copy });
    if (a.kind === "invalid" || b.kind === "invalid") sectorsDamaged.push(sector);
    for (let i = 0; i < identifiersPerSector; i += 1) {
      const entry = chosen.entries[i];
      if (entry === undefined || entries.length === geometry.slotsCount) continue;
      entries.push(entry);
      sure.push(a.kind === "valid" && b.kind === "valid");
    }
  }
  return { identifiers: entries, identifiersSure: sure, sectors, sectorsDamaged };
}

/** Byte of a slot's damaged unit in the prepares file. */
export function damagedAt(geometry: WalGeometry, slot: number, unit: number): number {
  return slotOffset(slot, geometry) + unit * diskUnitBytes;
}
