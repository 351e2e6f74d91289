import { replicasCount } from "#replica/base/limits.ts";
import type { Finding } from "./conditions.ts";
import { formedRecord, type GenesisStep } from "./genesis.ts";
import type { ObservedShard } from "./observed.ts";
import { isHealthy, type QuorumFacts } from "./quorum.ts";
import { replaceFinding, replaceStep } from "./replace.ts";
import type { RestartStep } from "./restart.ts";
import { rotateFinding, rotateStep } from "./rotate.ts";
import type { RollDecision } from "./roll.ts";
import { machineFinding } from "./upgrade.ts";

/** What was decided in this round, for people to see. */
export interface Decided {
  readonly genesis: GenesisStep;
  readonly roll: RollDecision;
  readonly restart: RestartStep;
  /** Something outside of the shard that keeps it from going on: slots taken, key missing … */
  readonly obstacle?: { readonly reason: string; readonly message: string };
}

function finding(type: string, holds: boolean | null, reason: string, message: string): Finding {
  const status = holds === null ? "Unknown" : holds ? "True" : "False";
  return { type, status, reason, message };
}

function readiness(observed: ObservedShard, quorum: QuorumFacts, decided: Decided): Finding {
  const { genesis, obstacle } = decided;
  if (obstacle !== undefined) {
    return finding("Ready", quorum.available, obstacle.reason, obstacle.message);
  }
  if (quorum.available) {
    const { length } = quorum.voting;
    const message = `${length} of ${replicasCount} replicas vote in view ${quorum.view}.`;
    return finding("Ready", true, "QuorumServing", message);
  }
  if (genesis.kind === "wait" || genesis.kind === "refuse") {
    return finding("Ready", false, genesis.reason, genesis.note);
  }
  if (formedRecord(genesis) === null) {
    return finding("Ready", false, "Forming", "The genesis of the shard is under way.");
  }
  const asked = observed.members.filter(({ report }) => report !== undefined).length;
  const message = `${asked} of ${replicasCount} replicas answer; two must vote in one view.`;
  return finding("Ready", false, "NoQuorum", message);
}

function progress(observed: ObservedShard, decided: Decided): readonly Finding[] {
  const { wanted, proven } = observed.template;
  const running = observed.members.filter(({ pod }) => pod?.templateHash === wanted).length;
  const spread = `${running} of ${replicasCount} pods run template ${wanted}.`;
  const done = running === replicasCount && proven === wanted;
  const { roll, restart } = decided;
  const upgrading = proven !== "" && proven !== wanted;
  const halted = roll.kind === "hold_proven" || roll.kind === "fail";
  const reason = halted ? (roll.kind === "fail" ? "Failed" : roll.reason) : "Rolling";
  const note = roll.kind === "fail" ? roll.note : restart.kind === "wait" ? restart.note : spread;
  return [
    finding("Progressing", !done && !halted, done ? "TemplateEverywhere" : reason, spread),
    upgrading
      ? finding("UpgradeInProgress", !halted, reason, note)
      : finding("UpgradeInProgress", false, "UpToDate", spread),
  ];
}

function storage(observed: ObservedShard, formed: boolean): Finding {
  const permitted = observed.shard.metadata.annotations?.["tigerchat.dev/replace"];
  const replacing = formed ? replaceFinding(replaceStep(observed, permitted)) : null;
  if (replacing !== null) return replacing;
  const poisoned = observed.members.filter(({ report }) => report?.state === "poisoned");
  if (poisoned.length > 0) {
    const list = poisoned.map(({ replica }) => replica).join(", ");
    return finding("StorageHealthy", false, "Poisoned", `Disks of replicas ${list} failed a sync.`);
  }
  const silent = observed.members.filter(({ report }) => report === undefined);
  if (silent.length > 0) {
    const list = silent.map(({ replica }) => replica).join(", ");
    return finding("StorageHealthy", null, "NotAsked", `Replicas ${list} could not be asked.`);
  }
  return finding("StorageHealthy", true, "NoFaults", "No replica reports a fault of its disk.");
}

function certificates(observed: ObservedShard): Finding {
  const states = observed.members.map(({ certification }) => certification);
  const type = "CertificatesValid";
  if (states.includes("missing")) {
    return finding(type, false, "NotCertified", "Some replicas have no certificate of this fleet.");
  }
  if (states.includes("unknown")) {
    return finding(type, null, "NotAsked", "Some replicas could not be asked.");
  }
  if (states.includes("renew")) return finding(type, true, "Renewing", "Some are being renewed.");
  return finding(type, true, "Valid", "Every replica has a valid certificate of this fleet.");
}

function keys(observed: ObservedShard, genesis: GenesisStep): Finding {
  const record = formedRecord(genesis);
  if (record === null) {
    return finding("KeysUpToDate", null, "NotFormed", "The shard is not formed yet.");
  }
  const asked = observed.shard.metadata.annotations?.["tigerchat.dev/rotate-key"];
  return rotateFinding(rotateStep(observed, record, asked), record);
}

/** Every condition of a shard. */
export function findingsOf(
  observed: ObservedShard,
  quorum: QuorumFacts,
  decided: Decided,
): readonly Finding[] {
  const { spec } = observed.shard;
  const unwell = observed.members.filter((member) => !isHealthy(member));
  const list = unwell.map(({ replica }) => replica).join(", ");
  const formed = formedRecord(decided.genesis) !== null;
  const voting = `${quorum.voting.length} of ${replicasCount} replicas vote.`;
  return [
    readiness(observed, quorum, decided),
    ...progress(observed, decided),
    unwell.length === 0
      ? finding("Degraded", false, "AllCaughtUp", "Every replica votes and is caught up.")
      : finding("Degraded", formed, formed ? "ReplicasUnwell" : "Forming", `Replicas ${list}.`),
    finding("QuorumAvailable", quorum.available, quorum.available ? "Voting" : "NoQuorum", voting),
    quorum.primary === null
      ? finding("PrimaryKnown", false, "NoPrimary", "No view has a quorum.")
      : finding("PrimaryKnown", true, "Elected", `Replica ${quorum.primary} is the primary.`),
    certificates(observed),
    keys(observed, decided.genesis),
    storage(observed, formed),
    machineFinding(observed),
    finding(
      "Draining",
      spec.lifecycle === "Draining",
      spec.lifecycle,
      `Lifecycle: ${spec.lifecycle}.`,
    ),
    finding("MetricsAvailable", null, "NotConfigured", "No metrics server is configured."),
    spec.paused
      ? finding("ReconciliationPaused", true, "Paused", "spec.paused is true.")
      : finding("ReconciliationPaused", false, "Active", "The operator acts on this shard."),
  ];
}
