import { assert } from "#replica/base/assert.ts";
import type { State } from "./state.ts";

/** What holds after every step, whatever happened in it; constant work. */
export function assertInvariants(state: State): void {
  assert(state.commitMin <= state.commitMax, "VSR-80: executed is committed");
  assert(state.logView <= state.view, "VSR-81: log_view never passes view");
  assert(state.superblock.durableView <= state.view, "VSR-81: durable view is not ahead");
  assert(state.checkpoint.op <= state.commitMin, "VSR-82: checkpoints are of executed ops");
  assert(state.log.chainLow <= state.log.head, "VSR-83: the chain ends at the head");
  if (state.status === "normal") {
    assert(state.logView === state.view, "VSR-84: a normal replica has its view's log");
    assert(state.commitMin <= state.log.head, "VSR-85: what is executed is in the log");
  }
  if (state.status === "view_change") {
    assert(state.change.selected === (state.logView === state.view), "VSR-86: selected log");
    assert(state.pipeline.count === 0, "VSR-87: nothing is in flight during a view change");
  }
  if (state.leads) {
    const inFlight = state.log.head - state.commitMax;
    assert(inFlight === state.pipeline.count, "VSR-88: the pipeline is the uncommitted suffix");
  }
}
