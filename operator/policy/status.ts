import { replicasCount } from "#replica/base/limits.ts";
import type {
  Decision,
  Member,
  MemberState,
  Phase,
  RoomShardStatus,
} from "#operator/api/room-shard.ts";
import { conditionsFrom } from "./conditions.ts";
import { type Decided, findingsOf } from "./findings.ts";
import { formedRecord } from "./genesis.ts";
import type { ObservedMember, ObservedShard } from "./observed.ts";
import { isHealthy, type QuorumFacts, quorumOf } from "./quorum.ts";

const states: Readonly<Record<string, MemberState>> = {
  unformatted: "Unformatted",
  formatted: "Formatted",
  view_change: "ViewChange",
  recovering_head: "Recovering",
  syncing: "Recovering",
  learner: "Learner",
  // A volume that was rolled back, like one that failed a write, is only good for replacement.
  lost: "Poisoned",
  poisoned: "Poisoned",
  stopped: "Stopped",
};

function memberState(member: ObservedMember): MemberState {
  const { pod, report } = member;
  if (pod === undefined) return "Missing";
  if (report === undefined) return pod.running ? "Unreachable" : "Starting";
  if (report.state === "normal") return report.voting ? "Voting" : "Recovering";
  return states[report.state] ?? "Unreachable";
}

function text(value: string | null | undefined): string | undefined {
  return value === null || value === undefined || value === "" ? undefined : value;
}

/** Drops members without a value, so that the status says nothing where nothing is known. */
function known<T extends object>(value: { readonly [K in keyof T]: T[K] | undefined }): T {
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries) as T;
}

function memberOf(member: ObservedMember): Member {
  const { pod, report, claim } = member;
  const message = report?.message || pod?.stuckReason || pod?.lastMessage || "";
  return known<Member>({
    replica: member.replica,
    state: memberState(member),
    caughtUp: report?.caughtUp === true,
    incarnation: text(report?.incarnation),
    publicKey: text(report?.publicKey),
    claimUID: text(claim?.uid),
    pod: text(pod?.name),
    node: text(pod?.node),
    zone: undefined,
    version: text(report?.version),
    message: message.slice(0, 1024),
  });
}

function phaseOf(observed: ObservedShard, quorum: QuorumFacts, decided: Decided): Phase {
  const { genesis } = decided;
  if (observed.shard.spec.lifecycle === "Hibernated") return "Hibernated";
  if (genesis.kind === "wait" && observed.members.every(({ pod }) => pod === undefined)) {
    return "Pending";
  }
  if (formedRecord(genesis) === null && !quorum.available) return "Forming";
  if (!quorum.available) {
    const gone = observed.members.filter(({ report }) =>
      ["unformatted", "poisoned"].includes(report?.state ?? ""),
    );
    return gone.length >= 2 ? "Lost" : "Stopped";
  }
  const { wanted, proven } = observed.template;
  if (proven !== "" && proven !== wanted && decided.roll.kind === "wanted") return "Updating";
  if (observed.shard.spec.lifecycle === "Draining") return "Draining";
  return observed.members.every(isHealthy) ? "Serving" : "Degraded";
}

/** The report about a shard. `now`: RFC 3339; `image`: what the pods should run. */
export function statusOf(
  observed: ObservedShard,
  decided: Decided,
  more: {
    readonly now: string;
    readonly image: string;
    readonly clusterID: string;
    readonly lastDecision: Decision | undefined;
  },
): RoomShardStatus {
  const quorum = quorumOf(observed);
  const { shard, members, template } = observed;
  const generation = shard.metadata.generation ?? 0;
  const reports = members.flatMap(({ report }) => report ?? []);
  const versions = reports.map(({ version }) => version).sort();
  const slots = reports.find(({ voting }) => voting)?.slots;
  const nodes = members.flatMap(({ pod }) => text(pod?.node) ?? []).join(",");
  const hashes = known<{ target?: string; proven?: string }>({
    target: text(template.wanted),
    proven: text(template.proven),
  });
  return known<RoomShardStatus>({
    observedGeneration: generation,
    phase: phaseOf(observed, quorum, decided),
    clusterID: more.clusterID,
    primary: quorum.primary ?? undefined,
    view: quorum.view ?? undefined,
    voting: `${quorum.voting.length}/${replicasCount}`,
    version: text(versions[0]),
    image: more.image,
    templateHash: hashes,
    slots: slots === undefined ? undefined : { owned: slots.owned, epoch: slots.epoch },
    nodes: text(nodes),
    members: members.map(memberOf),
    lastDecision: more.lastDecision,
    conditions: conditionsFrom(
      findingsOf(observed, quorum, decided),
      shard.status?.conditions ?? [],
      generation,
      more.now,
    ),
  });
}

/** True when the difference must be written at once: a condition, the phase or the primary. */
export function isUrgent(next: RoomShardStatus, before: RoomShardStatus | undefined): boolean {
  if (before === undefined) return true;
  const essence = (status: RoomShardStatus) => [
    status.phase,
    status.primary,
    status.observedGeneration,
    status.lastDecision?.action,
    ...(status.conditions ?? []).map(({ type, status: holds, reason, message }) => {
      // That one is the answer to a person's word, and names it.
      return [type, holds, reason, type === "KeysUpToDate" ? message : ""];
    }),
    ...(status.members ?? []).map(({ state, caughtUp }) => [state, caughtUp]),
  ];
  return JSON.stringify(essence(next)) !== JSON.stringify(essence(before));
}
