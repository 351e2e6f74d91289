import { assert } from "#replica/base/assert.ts";
import { diskUnitBytes, identifierLagMax } from "#replica/base/limits.ts";
import { mutated } from "#replica/base/mutation.ts";
import { slotOf, slotOffset } from "#replica/journal/geometry.ts";
import { encodeSlot, slotWriteBytes } from "#replica/journal/wal-slot.ts";
import type { Prepare, PrepareHeader } from "#replica/wire/prepare.ts";
import type { WriteMode } from "#replica/wire/storage-port.ts";
import { BufferPool } from "./buffer-pool.ts";
import type { IdentifierWriter } from "./identifier-writer.ts";
import type { Volume } from "./volume.ts";

declare const MUTATIONS: boolean | undefined;

const zone = { kind: "prepares" } as const;
/** Positional writes in flight at most; each is one job of the thread pool. */
const writesMax = 2;
/** Adjacent slots that one write may cover: up to 512 KiB under one sync. */
const coalesceMax = 4;

/** What a slot holds as far as this process knows. */
export interface SlotState {
  /** clean: durable and readable. faulty: must hold `header`'s op, does not. empty: nothing. */
  state: "empty" | "clean" | "faulty";
  header: PrepareHeader | null;
  /** Key that its ciphertext needs; 0 = none. */
  keyId: number;
  units: number;
  /** Grows with every write of the slot, so that a read knows when it was overtaken. */
  writes: number;
}

interface PendingWrite {
  readonly prepare: Prepare;
  readonly slot: number;
  readonly done: () => void;
  readonly mode: WriteMode;
  keyId: number;
}

/** The prepares ring: one O_DSYNC positional write a prepare, or one for several adjacent ones. */
export class PrepareWriter {
  private readonly volume: Volume;
  private readonly identifiers: IdentifierWriter;
  private readonly slots: SlotState[];
  private readonly pool: BufferPool;
  /** Writes that own their slot and wait for the disk, oldest first. */
  private ready: PendingWrite[] = [];
  /** Slots that a write owns, from its call to its completion, and who waits behind it. */
  private readonly owners = new Map<number, PendingWrite[]>();
  private readonly inFlight = new Set<PendingWrite>();
  private readonly idle: ((slot: number) => void)[] = [];
  private writing = 0;

  constructor(volume: Volume, identifiers: IdentifierWriter, slots: readonly SlotState[]) {
    assert(slots.length === volume.geometry.slotsCount, "STO-03: one state a slot");
    this.volume = volume;
    this.identifiers = identifiers;
    this.slots = slots.slice();
    this.pool = new BufferPool(coalesceMax * volume.geometry.slotBytes, writesMax);
  }

  /** What a slot holds now. */
  slot(slot: number): SlotState {
    const state = this.slots[slot];
    assert(state !== undefined, "STO-03: slot of the ring");
    return state;
  }

  /** True while a write owns the slot: what is on disk may be of before, of after, or torn. */
  isBusy(slot: number): boolean {
    return this.owners.has(slot);
  }

  /** `run` after every completed write, with its slot. */
  onWritten(run: (slot: number) => void): void {
    this.idle[this.idle.length] = run;
  }

  /** Notes that a read found the slot damaged; the mark becomes durable with its group (A5a 8). */
  markFaulty(slot: number): void {
    const state = this.slot(slot);
    assert(state.header !== null && state.state === "clean", "STO-03: a clean slot decayed");
    state.state = "faulty";
    const { header } = state;
    this.identifiers.set(slot, { state: "faulty", op: header.op, header });
  }

  /** Durable when done; waits for an earlier write of the same slot (A5a 11). */
  write(prepare: Prepare, done: () => void, mode: WriteMode): void {
    const { geometry } = this.volume;
    assert(prepare.body.length === prepare.header.bodyBytes, "STO-03: body as its header says");
    assert(slotWriteBytes(prepare.body.length) <= geometry.slotBytes, "STO-03: fits a slot");
    const slot = slotOf(prepare.header.op, geometry);
    const write: PendingWrite = { prepare, slot, done, mode, keyId: 0 };
    const waiting = this.owners.get(slot);
    if (waiting !== undefined) {
      assert(waiting.length < geometry.slotsCount, "STO-03: writes waiting at most");
      waiting[waiting.length] = write;
      return;
    }
    this.owners.set(slot, []);
    this.begin(write);
  }

  private begin(write: PendingWrite): void {
    this.ringWrap(write.slot);
    const { header } = write.prepare;
    if (!this.endangersAcknowledged(write.slot, header)) {
      this.ready[this.ready.length] = write;
      this.pump();
      return;
    }
    // The identifier must name the op first: otherwise a torn repair of an acknowledged prepare
    // would look like a write that never returned, and be nacked.
    const named = this.identifiers.entry(write.slot);
    const trusted = named.state === "present" || named.state === "faulty";
    const says = trusted && named.header?.checksum === header.checksum;
    if (!says) this.identifiers.set(write.slot, { state: "faulty", op: header.op, header });
    const go = (): void => {
      this.ready[this.ready.length] = write;
      this.pump();
    };
    if (this.identifiers.isDurable(write.slot)) go();
    else this.identifiers.flushSlot(write.slot, go);
  }

  /** True for a repair, and for a rewrite of what is already durable. */
  private endangersAcknowledged(slot: number, header: PrepareHeader): boolean {
    const state = this.slot(slot);
    const hasty = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("repair_unnamed");
    if (hasty) return false;
    if (state.state === "faulty") return true;
    return state.state === "clean" && state.header?.checksum === header.checksum;
  }

  private ringWrap(slot: number): void {
    if (slot !== 0) return;
    const keep = new Set<number>();
    for (const state of this.slots) if (state.keyId !== 0) keep.add(state.keyId);
    for (const write of this.inFlight) keep.add(write.keyId);
    const { volume } = this;
    volume.tools.vault.rotate([...keep], (result) => {
      volume.settle(
        result,
        () => undefined,
        () => "write of the data keys' table failed",
      );
    });
  }

  private pump(): void {
    while (this.writing < writesMax && !this.volume.poisoned) {
      const first = this.ready.shift();
      if (first === undefined) return;
      const run = [first];
      let next = this.ready[0];
      while (next !== undefined && run.length < coalesceMax) {
        if (next.slot !== first.slot + run.length) break;
        run[run.length] = next;
        this.ready.shift();
        next = this.ready[0];
      }
      this.start(run, first.slot);
    }
  }

  private start(run: readonly PendingWrite[], slot: number): void {
    const { volume, pool } = this;
    const { slotBytes } = volume.geometry;
    const buffer = pool.take();
    let bytes = 0;
    for (const [index, write] of run.entries()) {
      // The rest of a slot between two of one write becomes zeros: never written, so valid.
      buffer.fill(0, bytes, index * slotBytes);
      const { header, body } = write.prepare;
      const sealed = volume.sealPrepare(write.slot, header, body);
      write.keyId = sealed.keyId;
      const filled = encodeSlot(volume.tools, header, sealed, buffer, index * slotBytes);
      bytes = index * slotBytes + filled;
      this.inFlight.add(write);
    }
    this.writing += 1;
    const offset = slotOffset(slot, volume.geometry);
    const written = (): void => {
      pool.give(buffer);
      this.writing -= 1;
      for (const write of run) this.complete(write);
      this.pump();
    };
    const mode = run.every((write) => write.mode === "now") ? "now" : "queued";
    volume.write(zone, offset, buffer.subarray(0, bytes), written, mode);
  }

  private complete(write: PendingWrite): void {
    const { slot, keyId } = write;
    const { header } = write.prepare;
    this.inFlight.delete(write);
    const state = this.slot(slot);
    const units = slotWriteBytes(header.bodyBytes) / diskUnitBytes;
    Object.assign(state, { state: "clean", header, keyId, units, writes: state.writes + 1 });
    this.identifiers.set(slot, { state: "present", op: header.op, header });
    const waiting = this.owners.get(slot);
    assert(waiting !== undefined, "STO-03: a write owns its slot");
    const next = waiting.shift();
    if (next === undefined) this.owners.delete(slot);
    this.report(write);
    for (const run of this.idle) run(slot);
    if (next !== undefined) this.begin(next);
  }

  /**
   * Tells that a prepare is durable; one far above all that a crash would leave named is named
   * first. A backup may ack such an op though it lacks those below it, when they are committed: if
   * the op then decayed before it was named, an open would take a much lower one for the head.
   */
  private report({ prepare, slot, done }: PendingWrite): void {
    const { header } = prepare;
    const { identifiers, volume } = this;
    const hasty = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("report_unnamed");
    const far = identifierLagMax(volume.geometry.slotsCount);
    if (header.op <= identifiers.namedOp + far || hasty) {
      done();
      return;
    }
    identifiers.flushSlot(slot, () => {
      const known = header.op <= identifiers.namedOp || identifiers.isVoid(header);
      const replaced = this.slot(slot).header?.checksum !== header.checksum;
      assert(known || replaced, "STO-14: what is far above every name is reported once named");
      done();
    });
  }
}
