import { assert } from "#replica/base/assert.ts";
import { opFrom } from "#replica/base/brands.ts";
import type { Checksum, Op } from "#replica/base/brands.ts";
import { mutated } from "#replica/base/mutation.ts";
import type { Prepare } from "#replica/wire/prepare.ts";
import type { State } from "./state.ts";
import { overwritableOp, persist } from "./superblock.ts";

/** Decayed slots of before the checkpoint that are asked for at once; the rest stays as it is. */
const decayedMax = 64;

declare const MUTATIONS: boolean | undefined;

/** Ring rule (rule A7): the older wrap of this op's slot is checkpointed here and at a quorum. */
export function canWrite(state: State, op: number): boolean {
  const free = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("overwrite_ring");
  if (free) return true;
  return op - state.log.slotsCount <= overwritableOp(state);
}

/**
 * Starts the write of an op's body when it is due: the log is durably the current view's (a slot is
 * never overwritten by a log that a crash could still take back), the ring has room, no write of
 * the slot is in flight, and a fault of the slot is on record.
 */
export function startWrite(state: State, op: number): void {
  const slot = state.log.slot(op);
  const prepare = slot.prepare;
  if (prepare === null || slot.header === null || slot.header.op !== op) return;
  if (state.log.present(op) || slot.writing === prepare.header.checksum) return;
  const eager = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("write_before_log_view");
  const due = state.logDurable || eager;
  const recorded = !slot.faulty || state.superblock.durable.faultyOps.includes(opFrom(op));
  if (slot.writing !== null || !due || !canWrite(state, op) || !recorded) {
    state.writesBlocked = true;
    // A torn repair would look like a torn first write, which may be nacked (rule B).
    if (!recorded) persist(state);
    return;
  }
  assert(prepare.header.checksum === slot.header.checksum, "VSR-17: only the log's own bodies");
  slot.writing = prepare.header.checksum;
  slot.disk = null;
  state.emit({ kind: "write_prepare", prepare });
}

/** Starts every write that had to wait. */
export function flushWrites(state: State): void {
  if (!state.writesBlocked) return;
  state.writesBlocked = false;
  const { head, slotsCount } = state.log;
  const first = Math.max(state.superblock.durable.checkpoint.op, head - slotsCount) + 1;
  for (let op = first; op <= head; op += 1) startWrite(state, op);
}

/** Keeps a body in memory and writes it. */
export function keepBody(state: State, prepare: Prepare): void {
  const slot = state.log.slot(prepare.header.op);
  assert(slot.header?.checksum === prepare.header.checksum, "VSR-17: body of the log's header");
  if (slot.prepare === null) slot.prepare = prepare;
  startWrite(state, prepare.header.op);
}

/** Lets a body go from memory once it is applied and durable. */
export function trimBody(state: State, op: number): void {
  if (op < 0) return;
  const slot = state.log.slot(op);
  if (slot.header?.op === op && op <= state.commitMin && state.log.present(op)) {
    slot.prepare = null;
  }
}

/** A prepare is durable. Returns false when it is a leftover that the log no longer names. */
export function onPrepareDurable(state: State, op: Op, checksum: Checksum): boolean {
  const slot = state.log.slot(op);
  assert(slot.writing === checksum, "VSR-10: the write in flight");
  const header = slot.header;
  if (header === null || header.checksum !== checksum) {
    // Truncated or wrapped meanwhile: the disk holds something that is never acked (A5a 11).
    slot.writing = null;
    state.writesBlocked = true;
    return false;
  }
  state.log.wrote(header);
  if (op <= state.commitMin) slot.prepare = null;
  return true;
}

/** Slots of before the checkpoint that the open found decayed are asked for: see repair.ts. */
export function noteDecayed(state: State): void {
  const { log, decayed } = state;
  const checkpointOp = state.superblock.durable.checkpoint.op;
  for (let i = 0; i < log.slotsCount && decayed.size < decayedMax; i += 1) {
    const { faulty, header } = log.slot(i);
    if (!faulty || header === null || header.op > checkpointOp) continue;
    if (header.op > log.head - log.slotsCount) decayed.set(header.op, 0);
  }
  if (decayed.size > 0) state.repairPending = true;
}

/** A body could not be read back: the slot is faulty from now on, and to be repaired. */
export function markFaulty(state: State, op: Op, checksum: Checksum): void {
  const slot = state.log.slot(op);
  if (slot.disk === null || slot.disk.checksum !== checksum) return;
  slot.disk = null;
  slot.faulty = slot.header === null || slot.header.op === op;
  if (!slot.faulty) return;
  state.repairPending = true;
  state.repairLow = Math.min(state.repairLow, op);
  if (slot.prepare !== null) state.writesBlocked = true;
  const old = op <= state.superblock.durable.checkpoint.op;
  if (old && state.decayed.size < decayedMax) state.decayed.set(op, 0);
  persist(state);
}
