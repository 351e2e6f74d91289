import { decisionRows } from "#replica/journal/decision-table.ts";
import { frameCommands } from "#replica/wire/frame.ts";

/** Runs from which on a batch must have seen everything but {@link rare}. */
export const coverageRunsMin = 2500;
/** Runs from which on it must have seen the rare ones too. */
export const rareRunsMin = 20_000;

/** Kinds of faults that a batch must have injected. */
export const faultKinds: readonly string[] = [
  "crash",
  "power_loss",
  "torn_write",
  "partition",
  "partition_one_way",
  "pause",
  "stall",
  "decay_prepares",
  "decay_identifiers",
  "decay_superblock",
  "decay_segments",
  "read_error",
  "read_flip",
  "write_error",
  "lost_write",
  "misdirected_write",
  "slow_disk",
  "rollback",
  "lost_disk",
  "replaced_disk",
  "clock_step",
  "clock_drift",
  "transfer",
  "newer_build",
  "wrong_build",
  "upgrade",
  "peer_refused",
  "edge_crash",
  "connection_reset",
  "loss",
  "duplicate",
  "late_copy",
  "clog",
  "path_full",
  "frame_flipped",
  "frame_truncated",
  "frame_bad_signature",
  "frame_stale_incarnation",
  "bad_cosignature",
  "rekey",
  "rekey_of_primary",
  "idle_day",
  "rewrap",
  "key_torn",
  "key_between",
  "key_write_lost",
  "key_power_cut",
  "key_decay",
  "keys_destroyed",
  "wrong_kek",
];

/** What a start found of its wrapped data keys, and what a new key-encryption key came to. */
export const keyOutcomes: readonly string[] = [
  ...["whole", "behind", "one_copy", "foreign", "damaged"],
  ...["rewrapped", "same", "busy"],
];

/** How a view change can end, or go on, as its messages show it. */
export const viewChangeOutcomes: readonly string[] = [
  "selected_by_two",
  "selected_by_three",
  "suffix_kept",
  "tail_dropped",
  "older_log_view_outvoted",
  "waited_for_third",
  "stuck",
  "timed_out",
  "forfeited",
  "resumed_stored_vote",
  "start_view_for_uncertain_head",
];

/** Transitions of a replica's status; `down` is a process that is not there. */
export const statusTransitions: readonly string[] = [
  "down>normal",
  "down>view_change",
  "down>recovering_head",
  "normal>view_change",
  "view_change>normal",
  "view_change>down",
  "normal>down",
  "normal>syncing",
  "syncing>normal",
  "syncing>down",
  "syncing>view_change",
  "down>learner",
  "learner>normal",
  "learner>view_change",
  "view_change>lost",
  "normal>lost",
  "recovering_head>normal",
  "recovering_head>down",
];

/** Operations and how the machine answered them, of each rule at least one. */
export const answers: readonly string[] = [
  ...["message ok", "message dup", "message key_mismatch", "message key_too_old"],
  ...["message key_in_future", "message no_room", "message bad_operation", "message bad_target"],
  ...["message denied", "message banned", "message muted", "message quota", "message redacted"],
  ...["message rate_limited", "edit ok", "edit denied", "edit redacted", "redact ok"],
  ...["redact denied", "redact redacted", "react ok", "unreact ok", "marker ok", "marker stale"],
  ...["member ok", "member denied", "member quota", "ban ok", "ban denied", "mute ok"],
  ...["mute denied", "settings ok", "settings denied", "thread bad_operation", "create_room ok"],
  ...["create_room room_exists", "create_dm ok", "create_dm room_exists", "configure ok"],
  ...["configure dup", "configure stale", "configure key_mismatch", "retain ok"],
  ...["retain bad_operation", "retain stale", "trim ok", "trim not_due", "trim held", "trim stale"],
  "redact held",
];

/** What edges ask to be proved. */
export const proofKinds: readonly string[] = ["receipt", "checkpoint", "consistency"];

/** What must have befallen the state of some replica. */
export const stateEvents: readonly string[] = [
  ...["keys_sealed", "keys_merged", "keys_expired", "original_loaded"],
  ...["segments_merged", "segment_swept", "segments_removed", "block_repaired"],
  ...["data_key_rotated", "checkpoint_agreed", "synced"],
  ...["scrub_found_prepares", "scrub_found_identifiers", "scrub_found_superblock"],
  "scrub_found_segments",
];

/** What a batch of runs cannot reach, each with the reason. */
export const unreachable: ReadonlyMap<string, string> = new Map([
  [
    "row listed-empty",
    "a slot marked corrupt that reads as zeros beside a lost identifier: two faults",
  ],
  ["row listed-torn", "a slot marked corrupt and torn beside a lost identifier: two faults"],
  ["view change stuck", "needs an op lost on every machine, which the fault atlas never allows"],
]);

/** Once in thousands of runs: a release must see them. */
const rare: ReadonlySet<string> = new Set([
  "row blank-void",
  "row torn-void",
  "row whole-dropped-unknown",
  "row whole-not-called",
  "row corrupt-void",
  "view change waited_for_third",
  "status learner>view_change",
]);

function expected(): readonly string[] {
  const kinds = Object.keys(frameCommands).filter((kind) => kind !== "hello" && kind !== "alive");
  return [
    ...kinds.map((kind) => `sent ${kind}`),
    ...kinds.map((kind) => `received ${kind}`),
    ...decisionRows.map((row) => `row ${row.id}`),
    ...viewChangeOutcomes.map((outcome) => `view change ${outcome}`),
    ...statusTransitions.map((change) => `status ${change}`),
    ...faultKinds.map((kind) => `fault ${kind}`),
    ...answers.map((answer) => `answer ${answer}`),
    ...stateEvents.map((what) => `state ${what}`),
    ...keyOutcomes.map((outcome) => `keys ${outcome}`),
    ...proofKinds.map((kind) => `proof ${kind}`),
  ];
}

/** Names of messages' counters, made once. */
const messageNames = new Map(
  Object.keys(frameCommands).map((kind) => [
    kind,
    { sent: `sent ${kind}`, received: `received ${kind}` },
  ]),
);

/** How often everything that can happen did happen, over any number of runs. */
export class Coverage {
  readonly counts = new Map<string, number>();

  /** Counts a message between replicas. */
  message(way: "sent" | "received", kind: string): void {
    this.add(messageNames.get(kind)?.[way] ?? `${way} ${kind}`);
  }

  /** Counts one. */
  add(what: string, times = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + times);
  }

  /** Takes over the counts of another batch. */
  merge(counts: Iterable<readonly [string, number]>): void {
    for (const [what, times] of counts) this.add(what, times);
  }

  /** What should have happened in a batch of that many runs and never did. */
  missing(runs: number): readonly string[] {
    const never = expected().filter((what) => !this.counts.has(what) && !unreachable.has(what));
    return never.filter((what) => runs >= rareRunsMin || !rare.has(what));
  }

  /** Counts of a group, the most frequent first. */
  group(prefix: string): readonly (readonly [string, number])[] {
    const found = [...this.counts].filter(([what]) => what.startsWith(`${prefix} `));
    return found
      .map(([what, times]) => [what.slice(prefix.length + 1), times] as const)
      .sort((a, b) => b[1] - a[1]);
  }
}
