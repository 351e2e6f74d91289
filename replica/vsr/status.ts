import type { ReplicaStatus } from "#replica/wire/peer-message.ts";
import type { State } from "./state.ts";

/** What a replica is doing (rule A2). */
export function statusOf(state: State): ReplicaStatus {
  if (state.lost) return "lost";
  if (state.superblock.durable.recovering) return "learner";
  if (state.status !== "normal") return state.status;
  // Until the view's log_view is durable a crash would take it back.
  if (!state.logDurable) return "view_change";
  return state.sync === null ? "normal" : "syncing";
}
