import type { JournalTools } from "#replica/journal/journal-tools.ts";
import { diskUnitBytes, headerBytes } from "#replica/base/limits.ts";
import {
  identifiersPerSector,
  sectorOffset,
  slotOffset,
  unitPayloadBytes,
  type WalGeometry,
} from "#replica/journal/geometry.ts";
import {
  chooseSector,
  decodeSector,
  type Identifier,
  type SectorScan,
} from "#replica/journal/identifier-sector.ts";
import { scanSlot } from "#replica/journal/wal-slot.ts";
import { Violation } from "./subject.ts";

/** Bytes of a volume's files as they were written. */
export type ReadTruth = (file: string, offset: number, bytes: number) => Uint8Array;

/**
 * Checker 10: at rest, a slot that is whole has the identifier of that very prepare, it is the one
 * of the history, and what no byte of the prepare fills is zero.
 */
export class Journal {
  private readonly tools: JournalTools;
  private readonly geometry: WalGeometry;
  /** Slots found whole. */
  looked = 0;

  constructor(tools: JournalTools, geometry: WalGeometry) {
    this.tools = tools;
    this.geometry = geometry;
  }

  /** `live`: ops that this volume must hold, first and last; `chain`: checksum of each op. */
  check(
    replica: number,
    read: ReadTruth,
    live: { readonly first: number; readonly last: number },
    chain: readonly string[],
  ): void {
    const where = `(replica ${replica})`;
    const { slotsCount, slotBytes } = this.geometry;
    for (let op = live.first; op <= live.last; op += 1) {
      const slot = op % slotsCount;
      const bytes = read("prepares", slotOffset(slot, this.geometry), slotBytes);
      const scan = scanSlot(this.tools, this.geometry, slot, bytes);
      if (scan.kind !== "whole")
        throw new Violation(`10 journal: op ${op} is ${scan.kind} ${where}`);
      const { header, units } = scan;
      if (header.checksum !== chain[op]) {
        throw new Violation(`10 journal: slot ${slot} holds another op ${header.op} ${where}`);
      }
      const identifier = identifierOf(this.tools, this.geometry, slot, read);
      if (identifier.state !== "present" || identifier.header.checksum !== header.checksum) {
        throw new Violation(`10 journal: identifier of ${op} is ${identifier.state} ${where}`);
      }
      const used = headerBytes + 16 + header.bodyBytes;
      const spare = units * unitPayloadBytes - used;
      const from = units * diskUnitBytes - (diskUnitBytes - unitPayloadBytes) - spare;
      for (let at = from; at < from + spare; at += 1) {
        if (bytes[at] !== 0) throw new Violation(`10 journal: padding of op ${op} ${where}`);
      }
      this.looked += 1;
    }
  }
}

/** What the identifiers ring says of a slot: the newest of its sector's two copies. */
export function identifierOf(
  tools: JournalTools,
  geometry: WalGeometry,
  slot: number,
  read: ReadTruth,
): Identifier {
  const sector = Math.floor(slot / identifiersPerSector);
  const copy = (which: 0 | 1): SectorScan => {
    const offset = sectorOffset(sector, which, geometry);
    const bytes = read("identifiers", offset, diskUnitBytes);
    return decodeSector(tools, { sector, copy: which }, bytes);
  };
  const entry = chooseSector(copy(0), copy(1)).entries[slot % identifiersPerSector];
  return entry ?? { state: "absent" };
}
