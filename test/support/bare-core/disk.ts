import type { Checksum, Op } from "#replica/base/brands.ts";
import type { Prng } from "#replica/base/prng.ts";
import { voidAgainst } from "#replica/vsr/recovery.ts";
import type { CheckpointDescriptor } from "#replica/wire/peer-message.ts";
import type { Prepare, PrepareHeader } from "#replica/wire/prepare.ts";
import type { RecoveredSlot, RecoveredState } from "#replica/wire/storage-port.ts";
import type { SuperblockState } from "#replica/wire/superblock.ts";
import type { ToyState } from "./toy-machine.ts";

/** One slot: the body as last written, its identifier (which lags), and what befell them. */
interface Slot {
  prepare: Prepare | null;
  /** `torn`: the units of a write that a crash cut; `rotten`: was whole, decayed since. */
  body: "empty" | "whole" | "torn" | "rotten";
  identifier: PrepareHeader | null;
}

/** A checkpoint's state as a replica has it on disk. */
export interface Snapshot {
  readonly checkpoint: CheckpointDescriptor;
  readonly state: ToyState;
  readonly sessions: Uint8Array;
}

/** A write that was begun and is not yet durable. */
interface Pending {
  readonly prepare: Prepare;
}

/**
 * What a replica's volume holds, above the format: prepares with lagging identifiers, the
 * superblock, checkpoints. Survives crashes; a crash cuts the writes that are in flight.
 */
export class SimDisk {
  readonly slots: Slot[];
  superblock: SuperblockState;
  readonly snapshots = new Map<Checksum, Snapshot>();
  private readonly pending = new Map<number, Pending>();
  private readonly prng: Prng;

  constructor(superblock: SuperblockState, root: Prepare, prng: Prng) {
    const count = superblock.identity.walSlotsCount;
    this.slots = Array.from({ length: count }, () => ({
      prepare: null,
      body: "empty",
      identifier: null,
    }));
    this.superblock = superblock;
    this.prng = prng;
    this.slots[0] = { prepare: root, body: "whole", identifier: root.header };
  }

  /** The slot of an op. */
  slot(op: number): Slot {
    const slot = this.slots[op % this.slots.length];
    if (slot === undefined) throw new Error("disk: slot");
    return slot;
  }

  /** Begins a write; {@link finishWrite} makes it durable. */
  beginWrite(prepare: Prepare): void {
    const index = prepare.header.op % this.slots.length;
    if (this.pending.has(index)) throw new Error("disk: two writes of one slot");
    this.pending.set(index, { prepare });
  }

  /** The write's one sync has returned. */
  finishWrite(prepare: Prepare): void {
    this.pending.delete(prepare.header.op % this.slots.length);
    const slot = this.slot(prepare.header.op);
    slot.prepare = prepare;
    slot.body = "whole";
  }

  /** The identifier follows lazily, unless the slot was written again meanwhile. */
  finishIdentifier(prepare: Prepare): void {
    const slot = this.slot(prepare.header.op);
    if (slot.prepare === prepare) slot.identifier = prepare.header;
  }

  /** The body, or null: other, torn, rotten, or being overwritten. */
  read(op: Op, checksum: Checksum): Prepare | null {
    const slot = this.slot(op);
    if (slot.body !== "whole" || slot.prepare?.header.checksum !== checksum) return null;
    return slot.prepare;
  }

  /** True when the body was made durable here and not overwritten since, decayed or not. */
  holds(op: number, checksum: Checksum): boolean {
    const slot = this.slot(op);
    if (slot.body !== "whole" && slot.body !== "rotten") return false;
    return slot.prepare?.header.checksum === checksum;
  }

  /** Power is cut: every write in flight is lost, whole, or torn. */
  crash(): void {
    for (const [index, { prepare }] of this.pending) {
      const slot = this.slots[index];
      if (slot === undefined) continue;
      const fate = this.prng.below(10);
      if (fate < 2) continue;
      slot.body = fate < 4 ? "whole" : "torn";
      slot.prepare = prepare;
    }
    this.pending.clear();
  }

  /** Highest op that any slot names. */
  highestOp(): number {
    let op = 0;
    for (const slot of this.slots) op = Math.max(op, slot.prepare?.header.op ?? 0);
    return op;
  }

  /** A body decays; its identifier too when `both`. False when there was nothing to decay. */
  rot(index: number, both: boolean): boolean {
    const slot = this.slots[index];
    if (slot === undefined || slot.body !== "whole" || this.pending.has(index)) return false;
    slot.body = "rotten";
    if (both) slot.identifier = null;
    return true;
  }

  /** Opens the volume: each slot judged by the recovery table (rule B). */
  recover(): RecoveredState {
    const slots: RecoveredSlot[] = [];
    for (const [index, slot] of this.slots.entries()) {
      const judged = this.judge(index as Op, slot);
      if (judged.state !== "empty") slots.push(judged);
      // What is judged clean has its identifier finished; what is torn is as good as empty.
      if (judged.state === "clean") slot.identifier = judged.header;
    }
    slots.sort((a, b) => a.op - b.op);
    return { superblock: this.superblock, slots };
  }

  private judge(index: Op, slot: Slot): RecoveredSlot {
    const { superblock } = this;
    let identifier = slot.identifier;
    const body = slot.prepare?.header ?? null;
    if (identifier !== null && voidAgainst(superblock, identifier)) identifier = null;
    const named = identifier ?? body;
    const op = slot.body === "empty" && identifier === null ? index : (named?.op ?? index);
    if (slot.body === "whole" && body !== null) {
      const differs = identifier?.op === body.op && identifier.checksum !== body.checksum;
      const older = identifier !== null && identifier.op > body.op;
      if (!differs && !older) return { op: body.op, state: "clean", header: body };
      return { op, state: "faulty", header: identifier };
    }
    if (slot.body === "rotten") {
      const header = identifier;
      return { op: header?.op ?? body?.op ?? index, state: "faulty", header };
    }
    // Torn or empty: the sync never returned; but an identifier that names this op says it did.
    const names = identifier !== null && (body === null || identifier.op >= body.op);
    if (names) return { op, state: "faulty", header: identifier };
    return { op, state: "empty", header: null };
  }
}
