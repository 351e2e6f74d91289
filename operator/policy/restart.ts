import type { ObservedMember, ObservedShard } from "./observed.ts";
import { isHealthy, quorumOf } from "./quorum.ts";

/** What to do next about pods that do not run the StatefulSet's template. */
export type RestartStep =
  | { readonly kind: "none" }
  /** A gate holds the roll back; named for the metric, with a sentence. */
  | { readonly kind: "wait"; readonly gate: string; readonly note: string }
  /** Ask the eviction API, which asks the disruption budget: the second lock. */
  | { readonly kind: "evict"; readonly replica: number }
  /** The pod serves nobody and no eviction would ever be granted: delete exactly it. */
  | { readonly kind: "delete"; readonly replica: number; readonly note: string }
  /** Hand the primary over before its replica is restarted. */
  | { readonly kind: "transfer"; readonly target: number; readonly view: number };

/**
 * One restart at a time: pods that are not Ready first, the primary last and only after a planned
 * transfer, and none while another replica is not caught up.
 */
export function restartStep(observed: ObservedShard): RestartStep {
  const { current } = observed.template;
  const outdated = observed.members.filter(
    ({ pod }) => pod !== undefined && pod.templateHash !== current,
  );
  if (outdated.length === 0) return { kind: "none" };
  const leaving = outdated.find(({ pod }) => pod?.terminating);
  if (leaving !== undefined) return wait("Terminating", leaving, "is being replaced");
  const stuck = outdated.find(isStuck);
  if (stuck !== undefined) {
    const note = `Pod ${stuck.pod?.name} is not Ready and does not vote; eviction cannot free it.`;
    return { kind: "delete", replica: stuck.replica, note };
  }
  const { primary, view } = quorumOf(observed);
  const next =
    outdated.find(({ pod }) => pod?.ready === false) ??
    outdated.find(({ replica }) => replica !== primary) ??
    outdated[0];
  if (next === undefined) return { kind: "none" };
  const others = observed.members.filter(({ replica }) => replica !== next.replica);
  const behind = others.find((member) => !isHealthy(member));
  if (behind !== undefined) return wait("NotCaughtUp", behind, "is not caught up");
  if (next.replica !== primary) return { kind: "evict", replica: next.replica };
  const [target] = others.filter(({ pod }) => pod?.templateHash === current);
  if (target === undefined || view === null) return wait("NoTarget", next, "cannot hand over");
  return { kind: "transfer", target: target.replica, view };
}

/** Not Ready and, asked live, not voting or without a running container. */
function isStuck(member: ObservedMember): boolean {
  const { pod, report } = member;
  if (pod === undefined || pod.ready || pod.terminating) return false;
  return !pod.running || (report !== undefined && !report.voting);
}

function wait(gate: string, member: ObservedMember, what: string): RestartStep {
  return { kind: "wait", gate, note: `Replica ${member.replica} ${what}.` };
}
