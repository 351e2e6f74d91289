import { assert } from "#replica/base/assert.ts";
import { opFrom } from "#replica/base/brands.ts";
import type { Op } from "#replica/base/brands.ts";
import { identifierLagMax } from "#replica/base/limits.ts";
import { mutated } from "#replica/base/mutation.ts";
import type { PrepareHeader } from "#replica/wire/prepare.ts";
import type { RecoveredState } from "#replica/wire/storage-port.ts";
import type { SuperblockState } from "#replica/wire/superblock.ts";
import { Log } from "./log.ts";

declare const MUTATIONS: boolean | undefined;

/** True when the superblock says that this header does not belong to the log (A5a 2 and 4). */
export function voidAgainst(superblock: SuperblockState, header: PrepareHeader): boolean {
  const trust = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("trust_identifiers");
  if (trust) return false;
  const { viewHeaders, view, logView } = superblock;
  const top = viewHeaders[0];
  const last = viewHeaders.at(-1);
  if (top === undefined || last === undefined) return false;
  if (header.op > top.op) return logView < view || header.view < logView;
  // With log_view < view the stored headers are the whole log from their lowest op up.
  const lowest = logView < view ? Math.min(top.op, superblock.commitMax) : last.op;
  if (header.op < lowest) return false;
  const named = viewHeaders[top.op - header.op];
  const same = named?.op === header.op ? named : viewHeaders.find((h) => h.op === header.op);
  return same?.checksum !== header.checksum;
}

function fill(log: Log, recovered: RecoveredState): void {
  for (const found of recovered.slots) {
    const slot = log.slot(found.op);
    slot.faulty = found.state === "faulty";
    if (found.state === "clean") slot.disk = found.header;
    if (found.state === "empty" || found.header === null) continue;
    // A void header names nothing, but a fault stays one: what was dropped may have been replaced.
    if (!voidAgainst(recovered.superblock, found.header)) slot.header = found.header;
  }
  for (const op of recovered.superblock.faultyOps) {
    // The fault survives a restart: what looks torn now was known to be lost before (rule B).
    const slot = log.slot(op);
    if (slot.disk === null) slot.faulty = true;
  }
}

function highest(log: Log): number {
  let op = -1;
  for (let i = 0; i < log.slotsCount; i += 1) op = Math.max(op, log.slot(i).header?.op ?? -1);
  return op;
}

/**
 * True when a faulty slot may hold an op above the known head: something that was acked and whose
 * op is not even known. A slot can hold the next wrap only if the checkpoint passed the older one;
 * one of which the volume surely says that it held the older one, and no newer one is named, can
 * hold the next wrap only close above the head: anything further was named before it was acked.
 */
function headUncertain(log: Log, superblock: SuperblockState): boolean {
  if (superblock.logView < superblock.view) return false;
  for (let i = 0; i < log.slotsCount; i += 1) {
    const slot = log.slot(i);
    if (!slot.faulty) continue;
    const op = log.opOfSlot(i);
    if (op > log.head) return true;
    if (op > superblock.checkpoint.op) continue;
    const near = op + log.slotsCount - log.head <= identifierLagMax(log.slotsCount);
    if (slot.header === null || near) return true;
  }
  return false;
}

/**
 * The log as of the disk: judged slots, then the superblock's headers over them (rule A2, "Head
 * at open"; A5a 2 and 4). Clears `headCertain` when the head is not known for sure.
 */
export function recoverLog(recovered: RecoveredState): Log {
  const { superblock } = recovered;
  const log = new Log(superblock.identity.walSlotsCount);
  fill(log, recovered);
  for (const header of superblock.viewHeaders.toReversed()) {
    const slot = log.slot(header.op);
    if (slot.header !== null && slot.header.op > header.op) continue;
    slot.header = header;
  }
  const top = superblock.viewHeaders[0];
  const head: Op = opFrom(Math.max(highest(log), 0));
  assert(log.slot(head).header !== null, "VSR-05: a volume holds the header of its head");
  if (superblock.logView < superblock.view && top !== undefined) {
    assert(head === top.op, "VSR-13: stored headers are the whole log from their lowest op up");
  }
  log.open(head);
  // A volume that was just formatted for a replacement knows nothing of the shard's log.
  const blank = superblock.recovering && head === 0;
  const sure = !blank && !headUncertain(log, superblock);
  log.headCertain = sure && head >= superblock.checkpoint.op;
  return log;
}
