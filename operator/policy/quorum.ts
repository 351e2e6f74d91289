import { assert } from "#replica/base/assert.ts";
import { quorumViewChange, replicasCount } from "#replica/base/limits.ts";
import type { ObservedMember, ObservedShard } from "./observed.ts";

/** What the replicas' reports amount to. */
export interface QuorumFacts {
  /** Replicas that vote in {@link view}. */
  readonly voting: readonly number[];
  /** Newest view that a voting replica reports; null when nobody votes. */
  readonly view: number | null;
  /** The primary of that view, when a quorum votes in it; null otherwise. */
  readonly primary: number | null;
  /** True when enough replicas vote in one view to commit. */
  readonly available: boolean;
}

/** Adds up the reports. A replica that could not be asked counts as not voting. */
export function quorumOf(observed: ObservedShard): QuorumFacts {
  assert(observed.members.length === replicasCount, "POL-01");
  const views = observed.members.flatMap((member) => {
    const view = member.report?.view ?? null;
    return view !== null && votesIn(member, view) ? [view] : [];
  });
  const view = views.length === 0 ? null : Math.max(...views);
  const voting = observed.members.filter((member) => votesIn(member, view));
  const available = voting.length >= quorumViewChange;
  return {
    voting: voting.map((member) => member.replica),
    view,
    primary: available && view !== null ? view % replicasCount : null,
    available,
  };
}

function votesIn(member: ObservedMember, view: number | null): boolean {
  const { report, certification } = member;
  // Whoever answers without a certificate of the fleet is heard, not believed.
  if (certification === "missing" || report === undefined) return false;
  return report.voting && report.state === "normal" && report.view === view;
}

/** True when the replica, asked live, votes, holds nearly all that is committed, and is Ready. */
export function isHealthy(member: ObservedMember): boolean {
  const { pod, report, certification } = member;
  if (pod === undefined || pod.terminating || !pod.ready) return false;
  return certification !== "missing" && report?.voting === true && report.caughtUp;
}
