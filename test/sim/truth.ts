import { diskUnitBytes } from "#replica/base/limits.ts";
import {
  chooseSuperblock,
  decodeSuperblockCopy,
  superblockCopies,
  type SuperblockCopy,
  superblockCopyBytes,
} from "#replica/journal/superblock-copies.ts";
import { scanSlot } from "#replica/journal/wal-slot.ts";
import type { PrepareHeader } from "#replica/wire/prepare.ts";
import { identifierOf } from "./checkers/10-journal.ts";
import { lab } from "./formation.ts";
import type { SectorDisk } from "./sector-disk.ts";

const superblockBytes = superblockCopies * superblockCopyBytes;

interface Held {
  readonly version: number;
  readonly header: PrepareHeader | null;
  /** Number of the data key of its body; 0 when nothing whole is there. */
  readonly keyId: number;
}

/** Reads what a volume was given to keep, faults of the medium aside; remembers what it read. */
export class Truth {
  private readonly disk: SectorDisk;
  private readonly slotsCount: number;
  private readonly slotBytes: number;
  private readonly headers = new Map<number, Held>();
  private checkpoint = { version: -1, op: 0 };
  private readonly copies: { version: number; copy: SuperblockCopy }[] = [];

  constructor(disk: SectorDisk, geometry: { slotsCount: number; slotBytes: number }) {
    this.disk = disk;
    this.slotsCount = geometry.slotsCount;
    this.slotBytes = geometry.slotBytes;
  }

  /** Header of the whole prepare of an op, or null. */
  header(op: number): PrepareHeader | null {
    const { header } = this.held(op % this.slotsCount);
    return header?.op === op ? header : null;
  }

  /** The identifiers ring names the whole prepare that the slot holds. */
  named(slot: number): boolean {
    const { disk, slotsCount, slotBytes } = this;
    const { header } = this.held(slot);
    if (header === null) return false;
    const entry = identifierOf(lab.tools, { slotsCount, slotBytes }, slot, (...range) => {
      return disk.truth(...range);
    });
    return entry.state === "present" && entry.header.checksum === header.checksum;
  }

  /** Data keys of the whole prepares of the log that no fault of the medium lies over. */
  keyIds(): readonly number[] {
    const ids: number[] = [];
    for (let slot = 0; slot < this.slotsCount; slot += 1) {
      const { keyId } = this.held(slot);
      const at = slot * this.slotBytes;
      if (keyId !== 0 && !this.disk.isSpoilt("prepares", at, this.slotBytes)) ids.push(keyId);
    }
    return ids;
  }

  /** Op of the checkpoint that the superblock names; 0 when it names none. */
  checkpointOp(): number {
    const version = this.disk.version("superblock", 0, superblockBytes);
    if (this.checkpoint.version === version) return this.checkpoint.op;
    const copies = Array.from({ length: superblockCopies }, (_, copy) => this.copy(copy));
    const choice = chooseSuperblock(copies);
    const op = choice.kind === "chosen" ? choice.content.state.checkpoint.op : 0;
    this.checkpoint = { version, op };
    return op;
  }

  /** The volume is another one from now on. */
  forget(): void {
    this.headers.clear();
    this.checkpoint = { version: -1, op: 0 };
    this.copies.length = 0;
  }

  /** One copy of the superblock; a write changes two of four, so that two are known. */
  private copy(index: number): SuperblockCopy {
    const at = index * superblockCopyBytes;
    const version = this.disk.version("superblock", at, superblockCopyBytes);
    const known = this.copies[index];
    if (known?.version === version) return known.copy;
    const bytes = this.disk.truth("superblock", at, superblockCopyBytes);
    const copy = decodeSuperblockCopy(lab.tools, bytes, index);
    this.copies[index] = { version, copy };
    return copy;
  }

  private held(slot: number): Held {
    const { slotsCount, slotBytes } = this;
    const version = this.disk.version("prepares", slot * slotBytes, slotBytes);
    const known = this.headers.get(slot);
    if (known?.version === version) return known;
    // Units that were never written tell nothing and cost a look at every byte.
    let used = slotBytes;
    const last = (): number => slot * slotBytes + used - diskUnitBytes;
    while (used > diskUnitBytes && this.disk.version("prepares", last(), diskUnitBytes) === 0) {
      used -= diskUnitBytes;
    }
    const bytes = this.disk.truth("prepares", slot * slotBytes, used);
    const scan = scanSlot(lab.tools, { slotsCount, slotBytes }, slot, bytes);
    const whole = scan.kind === "whole";
    const header = whole ? scan.header : null;
    const held = { version, header, keyId: whole ? scan.body.keyId : 0 };
    this.headers.set(slot, held);
    return held;
  }
}
