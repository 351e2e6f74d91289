import { assert } from "#replica/base/assert.ts";
import { opFrom } from "#replica/base/brands.ts";
import type { Checksum, Op } from "#replica/base/brands.ts";
import type { Prepare, PrepareHeader } from "#replica/wire/prepare.ts";

/** One slot of the ring: what the current log says of it, and what the disk is known to hold. */
export interface LogSlot {
  /** The current log's header here, or null: unknown. Its op may be of an older wrap. */
  header: PrepareHeader | null;
  /** Header of the prepare that is durable here and can be read back; null: none, or unknown. */
  disk: PrepareHeader | null;
  /** The disk's content is lost here: it may be something that was acked (never nack). */
  faulty: boolean;
  /** Body of `header`, while it is kept in memory. */
  prepare: Prepare | null;
  /** Checksum of the write in flight; the next write to this slot waits for it (A5a 11). */
  writing: Checksum | null;
  /** When the body was last asked for, ms. */
  askedMs: number;
}

/**
 * Headers of the log in a ring of the WAL's size, with what the disk holds beside them.
 * `head` is the last op of the log; `chainLow` the lowest op from which every header up to the
 * head is known and names its predecessor.
 */
export class Log {
  readonly slotsCount: number;
  private readonly slots: LogSlot[];
  /** REPLACE and REKEY ops that were put into the log; the reader drops those that left it. */
  readonly replaces = new Map<number, PrepareHeader>();
  private headOp: Op = opFrom(0);
  private chainOp: Op = opFrom(0);

  /** `slotsCount`: slots of the WAL. */
  constructor(slotsCount: number) {
    assert(slotsCount >= 1, "VSR-04: ring size");
    this.slotsCount = slotsCount;
    this.slots = Array.from({ length: slotsCount }, () => ({
      header: null,
      disk: null,
      faulty: false,
      prepare: null,
      writing: null,
      askedMs: -Infinity,
    }));
  }

  /** Last op of the log. */
  get head(): Op {
    return this.headOp;
  }

  /** Lowest op of the intact hash chain that ends at the head (A3.6). */
  get chainLow(): Op {
    return this.chainOp;
  }

  /** The slot that an op maps to; it may hold another op of the ring. */
  slot(op: number): LogSlot {
    const slot = this.slots[op % this.slotsCount];
    assert(slot !== undefined, "VSR-04: slot");
    return slot;
  }

  /** The current log's header of an op, or null. */
  header(op: number): PrepareHeader | null {
    const header = this.slot(op).header;
    return header !== null && header.op === op ? header : null;
  }

  /** Header of the head. Asserts that it is known: it always is. */
  headHeader(): PrepareHeader {
    const header = this.header(this.headOp);
    assert(header !== null, "VSR-05: the head's header is known");
    return header;
  }

  /** True when the disk holds, durable and readable, exactly what the log says (A5a 10). */
  present(op: number): boolean {
    const slot = this.slot(op);
    if (slot.header === null || slot.header.op !== op || slot.faulty) return false;
    return slot.disk !== null && slot.disk.checksum === slot.header.checksum;
  }

  /** Appends at the head or, leaving a gap, over it. The chain breaks at a gap. */
  advance(header: PrepareHeader): void {
    assert(header.op > this.headOp, "VSR-06: the head only grows within a view");
    const adjacent = header.op === this.headOp + 1;
    const parent = this.headHeader().checksum;
    this.place(header);
    this.headOp = header.op;
    if (!adjacent) this.chainOp = header.op;
    else assert(header.parent === parent, "VSR-07: adjacent headers of a view chain");
    const low = Math.max(this.chainOp, header.op - this.slotsCount + 1);
    this.chainOp = opFrom(low);
  }

  /**
   * Puts a header that the chain, the selection or the head vouches for in its place. The body in
   * memory goes when it is another's; the disk's content stays what it is.
   */
  place(header: PrepareHeader): void {
    const slot = this.slot(header.op);
    if (slot.header !== null && slot.header.checksum === header.checksum) return;
    assert(
      slot.header === null || slot.header.op <= header.op || slot.header.op > this.headOp,
      "VSR-08: an older wrap never replaces a newer one",
    );
    // A fault belongs to the op that was there; what is above a certain head was never written.
    if (header.op > this.headOp) slot.faulty = slot.faulty && !this.headCertain;
    slot.header = header;
    slot.prepare = null;
    slot.askedMs = -Infinity;
    if (makesMember(header)) this.replaces.set(header.op, header);
  }

  /** False only in recovering_head: then a fault may be of any op that maps to its slot. */
  headCertain = true;

  /** Accepts a header below the chain if the chain names it; true when it was taken. */
  extendChain(header: PrepareHeader): boolean {
    if (header.op + 1 !== this.chainOp || header.op <= this.headOp - this.slotsCount) return false;
    const above = this.header(this.chainOp);
    if (above === null || above.parent !== header.checksum) return false;
    const slot = this.slot(header.op);
    if (slot.header !== null && slot.header.op > header.op) return false;
    this.place(header);
    this.growChain(0);
    return true;
  }

  /** Walks the chain down over headers that are already known, to `lowest` at most. */
  growChain(lowest: number): void {
    let op = this.chainOp;
    while (op > lowest && op - 1 > this.headOp - this.slotsCount) {
      const below = this.header(op - 1);
      if (below === null || below.checksum !== this.header(op)?.parent) break;
      op = opFrom(op - 1);
    }
    this.chainOp = op;
  }

  /**
   * Makes a selected suffix (from its head down) the end of the log: everything above it goes
   * from memory, the disk's leftovers stay where they are and are never acked (A5a 11).
   */
  install(headers: readonly PrepareHeader[]): void {
    const top = headers[0];
    assert(top !== undefined, "VSR-09: a selection has a head");
    for (const slot of this.slots) {
      if (slot.header === null || slot.header.op <= top.op) continue;
      slot.header = null;
      slot.prepare = null;
    }
    for (const header of headers) {
      if (header.op > top.op - this.slotsCount) this.place(header);
    }
    this.headOp = top.op;
    this.chainOp = top.op;
    this.growChain(0);
  }

  /** Sets the log as recovery found it; slots were filled through {@link slot}. */
  open(head: Op): void {
    this.headOp = head;
    this.chainOp = head;
    this.growChain(0);
    for (const { header } of this.slots) {
      if (header !== null && makesMember(header)) this.replaces.set(header.op, header);
    }
  }

  /** Highest checkpoint that a quorum is known to have, by the headers of the ring (A7). */
  quorumCheckpointOp(): Op {
    let op = opFrom(0);
    for (const { header } of this.slots) {
      if (header !== null && header.quorumCheckpointOp > op) op = header.quorumCheckpointOp;
    }
    return op;
  }

  /** Ops of the ring whose slot is faulty, for the superblock. */
  faultyOps(): Op[] {
    const ops: Op[] = [];
    for (let i = 0; i < this.slotsCount; i += 1) {
      if (!this.slot(i).faulty) continue;
      ops.push(this.opOfSlot(i));
    }
    return ops.sort((a, b) => a - b);
  }

  /** The op of (head - slots, head] that maps to a slot; below the first wrap the slot itself. */
  opOfSlot(index: number): Op {
    const distance = (this.headOp - index) % this.slotsCount;
    const op = this.headOp - (distance < 0 ? distance + this.slotsCount : distance);
    return opFrom(op < 0 ? index : op);
  }

  /** Notes a write that is durable; a newer one clears the slot's fault. */
  wrote(header: PrepareHeader): void {
    const slot = this.slot(header.op);
    assert(slot.writing === header.checksum, "VSR-10: one write a slot at a time");
    slot.writing = null;
    slot.disk = header;
    slot.faulty = false;
  }
}

/** True for a REPLACE and a REKEY: from its op on a member is another one, or has another key. */
export function makesMember({ kind }: PrepareHeader): boolean {
  return kind === "replace" || kind === "rekey";
}
