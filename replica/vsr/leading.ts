import { assert } from "#replica/base/assert.ts";
import { opFrom } from "#replica/base/brands.ts";
import type { Op } from "#replica/base/brands.ts";
import { replicasCount } from "#replica/base/limits.ts";
import type { Prepare } from "#replica/wire/prepare.ts";
import { ackOwn, heartbeat } from "./normal.ts";
import { indexSuffix } from "./requests.ts";
import { broadcast } from "./send.ts";
import { othersOf } from "./quorum.ts";
import type { State } from "./state.ts";
import { sendStartView } from "./view-change.ts";
import { markFaulty } from "./writes.ts";

/** The uncommitted suffix with its bodies, or null while one is still to be read or repaired. */
function suffixInHand(state: State): readonly Prepare[] | null {
  const { log } = state;
  const suffix: Prepare[] = [];
  let complete = true;
  for (let op = state.commitMax + 1; op <= log.head; op += 1) {
    const slot = log.slot(op);
    if (slot.prepare !== null && slot.header?.op === op) {
      suffix.push(slot.prepare);
      continue;
    }
    complete = false;
    if (!log.present(op) || slot.header === null || state.suffixReads.has(op)) continue;
    state.suffixReads.add(op);
    const { checksum } = slot.header;
    state.emit({ kind: "read_prepare", op: opFrom(op), checksum, purpose: { kind: "pipeline" } });
  }
  return complete ? suffix : null;
}

/** A body of the suffix came back from disk; null makes its slot faulty (A5a 7). */
export function onSuffixRead(state: State, op: Op, prepare: Prepare | null): void {
  state.suffixReads.delete(op);
  const slot = state.log.slot(op);
  if (slot.header === null || slot.header.op !== op) return;
  if (prepare === null) markFaulty(state, op, slot.header.checksum);
  else if (prepare.header.checksum === slot.header.checksum) slot.prepare ??= prepare;
}

/**
 * The primary that chose the log starts the view once everything committed is executed and every
 * body up to the head is in hand (A5a 12); then it sends the suffix again, headers unchanged.
 */
export function tryLead(state: State): void {
  if (state.status !== "view_change" || !state.change.selected || !state.logDurable) return;
  if (state.commitMin < state.commitMax || state.log.chainLow > state.commitMin + 1) return;
  const suffix = suffixInHand(state);
  if (suffix === null) return;
  startLeading(state, suffix);
  for (const peer of othersOf(state.replica)) sendStartView(state, peer, 0);
  for (const prepare of suffix) broadcast(state, { kind: "prepare", prepare });
  state.emit({ kind: "status" });
  ackOwn(state);
}

/** Normal status as primary: timers, pipeline and the index of requests in flight. */
export function startLeading(state: State, suffix: readonly Prepare[]): void {
  assert(state.primary === state.replica, "VSR-27: the view's own primary leads it");
  assert(state.commitMin === state.commitMax, "VSR-27: it has executed what is committed");
  assert(state.view % replicasCount === state.replica, "VSR-27: view mod 3");
  state.status = "normal";
  state.change.vote = null;
  state.change.selected = false;
  for (const name of ["viewChange", "resend", "suspect"] as const) state.deadlines.clear(name);
  assert(state.pipeline.count === 0, "VSR-12: the pipeline starts empty");
  for (const prepare of suffix) state.pipeline.push(prepare, state.nowMs);
  indexSuffix(state, suffix);
  if (suffix.length > 0) {
    state.deadlines.set("prepare", state.nowMs + 2 * state.options.timing.heartbeatMs);
  }
  heartbeat(state);
}
