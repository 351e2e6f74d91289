import { assert } from "#replica/base/assert.ts";
import type { Checksum, Op } from "#replica/base/brands.ts";
import { diskUnitBytes } from "#replica/base/limits.ts";
import { slotOf, slotOffset } from "#replica/journal/geometry.ts";
import { scanSlot } from "#replica/journal/wal-slot.ts";
import type { Prepare } from "#replica/wire/prepare.ts";
import type { PrepareWriter } from "./prepare-writer.ts";
import type { ScrubFinding, SlotFault } from "./scrubber.ts";
import type { Volume } from "./volume.ts";

const zone = { kind: "prepares" } as const;

interface PendingRead {
  readonly op: Op;
  readonly checksum: Checksum;
  readonly done: (prepare: Prepare | null) => void;
}

/** Reads prepares back and checks them; a read behind a write of its slot waits for that write. */
export class PrepareReader {
  private readonly volume: Volume;
  private readonly writer: PrepareWriter;
  private readonly deferred = new Map<number, PendingRead[]>();

  constructor(volume: Volume, writer: PrepareWriter) {
    this.volume = volume;
    this.writer = writer;
    writer.onWritten((slot) => this.resume(slot));
  }

  /** Null: absent, torn, corrupt or unreadable. Damage of a clean slot is marked durably. */
  read(op: Op, checksum: Checksum, done: (prepare: Prepare | null) => void): void {
    const slot = slotOf(op, this.volume.geometry);
    const pending: PendingRead = { op, checksum, done };
    if (this.writer.isBusy(slot)) {
      const waiting = this.deferred.get(slot) ?? [];
      waiting[waiting.length] = pending;
      this.deferred.set(slot, waiting);
      return;
    }
    const state = this.writer.slot(slot);
    const known = state.state === "clean" && state.header?.checksum === checksum;
    if (!known || state.header?.op !== op) {
      this.volume.tools.later(() => done(null));
      return;
    }
    const { writes } = state;
    const bytes = state.units * diskUnitBytes;
    const offset = slotOffset(slot, this.volume.geometry);
    this.volume.tools.disk.read(zone, offset, bytes, (found) => {
      const overtaken = this.writer.isBusy(slot) || this.writer.slot(slot).writes !== writes;
      if (overtaken) this.read(op, checksum, done);
      else done(this.check(slot, pending, found));
    });
  }

  /** True for a slot that is clean and at rest. */
  holds(slot: number): boolean {
    const { header, state } = this.writer.slot(slot);
    return state === "clean" && header !== null && !this.writer.isBusy(slot);
  }

  /**
   * Looks at a slot that holds a prepare. Damage of a clean slot is marked durably and
   * named; a slot that is written meanwhile is left for the next time.
   */
  scrub(slot: number, done: (finding: ScrubFinding, fault: SlotFault | null) => void): void {
    const { header, units, writes } = this.writer.slot(slot);
    if (header === null || !this.holds(slot)) {
      this.volume.tools.later(() => done({ bytes: 0, faults: 0 }, null));
      return;
    }
    const bytes = units * diskUnitBytes;
    const { op, checksum } = header;
    const offset = slotOffset(slot, this.volume.geometry);
    this.volume.tools.disk.read(zone, offset, bytes, (found) => {
      const overtaken = this.writer.isBusy(slot) || this.writer.slot(slot).writes !== writes;
      const sound = overtaken || this.check(slot, { op, checksum }, found) !== null;
      done({ bytes, faults: sound ? 0 : 1 }, sound ? null : { op, checksum });
    });
  }

  private resume(slot: number): void {
    if (this.writer.isBusy(slot)) return;
    const waiting = this.deferred.get(slot);
    if (waiting === undefined) return;
    this.deferred.delete(slot);
    for (const pending of waiting) this.read(pending.op, pending.checksum, pending.done);
  }

  private check(slot: number, wanted: SlotFault, bytes: Uint8Array | null): Prepare | null {
    const { tools, geometry } = this.volume;
    const scan = bytes === null ? null : scanSlot(tools, geometry, slot, bytes);
    if (scan?.kind === "whole" && scan.header.checksum === wanted.checksum) {
      assert(scan.header.op === wanted.op, "STO-04: a checksum names one op");
      const body = this.volume.openPrepare(slot, scan.header, scan.body);
      if (body !== null) return { header: scan.header, body };
    }
    if (this.writer.slot(slot).state === "clean") this.writer.markFaulty(slot);
    return null;
  }
}
