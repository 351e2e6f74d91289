import { findDifference } from "./agreement.ts";
import { clusterTime } from "./clock-keeping.ts";
import { othersOf } from "./quorum.ts";
import type { State } from "./state.ts";
import { tell } from "./tell.ts";

/** What can keep a shard, or one replica of it, from going on. */
export type AlarmCode =
  | "volume"
  | "checkpoint"
  | "odd_checkpoint"
  | "formation"
  | "head"
  | "view"
  | "op"
  | "repair"
  | "sync"
  | "quorum"
  | "primary"
  | "clock";

interface Condition {
  readonly code: AlarmCode;
  /** Heartbeats that it must last before a person is told. */
  readonly heartbeats: number;
  readonly what: string;
}

/** A condition that lasts. */
export interface Standing {
  readonly sinceMs: number;
  what: string;
  raised: boolean;
}

/** Heartbeats after which somebody who could be heard is said not to be. */
const silentHeartbeats = 10;
/** Heartbeats after which a condition that ends by itself in good times is told. */
const soon = 50;
const later = 250;
/** Ops that a sentence names. */
const opsNamedMax = 4;

/** Of each peer that cannot help now, why: for sentences. */
function missingPeers(state: State): string {
  const silentMs = silentHeartbeats * state.options.timing.heartbeatMs;
  const reasons = othersOf(state.replica).map((replica) => {
    const peer = state.peers[replica];
    if (peer === undefined || peer.heardMs < state.nowMs - silentMs) {
      return `replica ${replica} is not heard`;
    }
    if (peer.formation === "other") return `replica ${replica} is of another formation`;
    if (peer.status === "normal") return `replica ${replica} is there`;
    return `replica ${replica} is in ${peer.status}`;
  });
  return reasons.join(", ");
}

function faults(state: State): string {
  const ops = state.log.faultyOps();
  if (ops.length === 0) return "its head is not on its disk";
  const more = ops.length > opsNamedMax ? ` and ${ops.length - opsNamedMax} more` : "";
  return `lost on its disk: ops ${ops.slice(0, opsNamedMax).join(", ")}${more}`;
}

function* startingConditions(state: State): Generator<Condition> {
  const { replica } = state;
  if (!state.formed) {
    const what = `replica ${replica} waits for all three to form: ${missingPeers(state)}`;
    const safe = "nobody here has voted yet, so nothing was ever acknowledged";
    const remedy = `if a volume is lost, empty all three and form the shard anew (${safe})`;
    yield { code: "formation", heartbeats: later, what: `${what}; ${remedy}` };
  }
  if (state.status === "recovering_head" && !state.recovering) {
    const what = `replica ${replica} does not know the head of its log (${faults(state)})`;
    yield {
      code: "head",
      heartbeats: soon,
      what: `${what}; it needs the log of a primary: ${missingPeers(state)}`,
    };
  }
  if (state.status === "view_change") {
    const what = `view ${state.view} does not start: ${missingPeers(state)}`;
    yield { code: "view", heartbeats: soon, what };
  }
  if (state.change.stuck !== null) yield { code: "op", heartbeats: 0, what: state.change.stuck };
}

function* normalConditions(state: State): Generator<Condition> {
  if (state.status !== "normal" || !state.formed) return;
  const { heartbeatMs } = state.options.timing;
  if (state.missingOp > 0) {
    const what = `op ${state.missingOp} is missing here and no peer gives it`;
    yield { code: "repair", heartbeats: 2 * soon, what: `${what}: ${missingPeers(state)}` };
  }
  if (state.syncFailedOp > 0) {
    const what = `checkpoint ${state.syncFailedOp} cannot be fetched, and the log no longer`;
    const why = `reaches back to op ${state.commitMin + 1}`;
    yield { code: "sync", heartbeats: later, what: `${what} ${why}: ${missingPeers(state)}` };
  }
  const { first } = state.pipeline;
  if (state.leads && first !== undefined) {
    const what = `op ${first.prepare.header.op} waits for a second disk`;
    yield { code: "quorum", heartbeats: soon, what: `${what}: ${missingPeers(state)}` };
  }
  if (state.leads && state.voting && clusterTime(state) === null) {
    const what = `the clock of replica ${state.replica} agrees with no other one's, so requests`;
    const why = `are refused; set the clocks right: ${missingPeers(state)}`;
    yield { code: "clock", heartbeats: soon, what: `${what} ${why}` };
  }
  const heardMs = state.peers[state.primary]?.heardMs ?? -Infinity;
  if (!state.leads && heardMs < state.nowMs - silentHeartbeats * heartbeatMs) {
    const what = `replica ${state.replica} has no primary: ${missingPeers(state)}`;
    yield { code: "primary", heartbeats: soon, what };
  }
}

function* conditions(state: State): Generator<Condition> {
  if (state.lost) {
    yield { code: "volume", heartbeats: 0, what: state.lostWhy };
    return;
  }
  const difference = findDifference(state);
  if (difference !== null) {
    const code = difference.decided ? "odd_checkpoint" : "checkpoint";
    yield { code, heartbeats: 0, what: difference.what };
  }
  yield* startingConditions(state);
  yield* normalConditions(state);
}

/** Notes what has begun, lasted or ended; tells of what has lasted long enough, once. */
export function watchConditions(state: State): void {
  const { heartbeatMs } = state.options.timing;
  const seen = new Set<AlarmCode>();
  for (const { code, heartbeats, what } of conditions(state)) {
    seen.add(code);
    const standing = state.alarms.get(code) ?? { sinceMs: state.nowMs, what, raised: false };
    state.alarms.set(code, standing);
    standing.what = what;
    if (standing.raised || state.nowMs - standing.sinceMs < heartbeats * heartbeatMs) continue;
    standing.raised = true;
    state.emit({ kind: "alarm", what });
    state.emit({ kind: "status" });
  }
  for (const [code, { raised }] of state.alarms) {
    if (seen.has(code)) continue;
    state.alarms.delete(code);
    if (raised) state.emit({ kind: "status" });
  }
  const difference = findDifference(state);
  if (difference?.stop !== true || state.stopped) return;
  // Last words, so that the others can say which checkpoint it was that differed.
  for (const peer of othersOf(state.replica)) tell(state, peer);
  state.stopped = true;
  state.emit({ kind: "stop", why: difference.what });
}

/** What lasts now and a person should know, one sentence each. */
export function raisedAlarms(state: State): readonly string[] {
  return [...state.alarms.values()].filter(({ raised }) => raised).map(({ what }) => what);
}
