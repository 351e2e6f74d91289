import { assert } from "#replica/base/assert.ts";
import type { Checksum, Op, ReplicaIndex } from "#replica/base/brands.ts";
import { tellHeartbeats } from "#replica/base/timing.ts";
import { checkpointRowsMax } from "./options.ts";
import { othersOf } from "./quorum.ts";
import type { State } from "./state.ts";

/** Heartbeats that a difference of two waits for the word of a third that is alive: four pings. */
const patienceHeartbeats = 4 * tellHeartbeats;

/** What the three replicas say of one checkpoint. */
export type Agreement =
  | { readonly kind: "agree" }
  /** Two are equal and not like this one's. */
  | { readonly kind: "odd_here"; readonly peers: readonly ReplicaIndex[] }
  /** This one's and another are equal: the named one is the odd one. */
  | { readonly kind: "odd_there"; readonly peer: ReplicaIndex }
  /** Two differ, or all three do, and nobody can say who is right. */
  | { readonly kind: "undecided"; readonly peer: ReplicaIndex; readonly third: ReplicaIndex };

/** Compares ids of one checkpoint, null = not told (rule A7). Pure. */
export function compareIds(
  own: string,
  told: readonly { readonly replica: ReplicaIndex; readonly id: string | null }[],
): Agreement {
  const [a, b] = told;
  if (a === undefined || b === undefined) return { kind: "agree" };
  const differs = told.filter(({ id }) => id !== null && id !== own);
  const first = differs[0];
  if (first === undefined) return { kind: "agree" };
  const third = first.replica === a.replica ? b : a;
  if (differs.length === 1) {
    if (third.id === own) return { kind: "odd_there", peer: first.replica };
    return { kind: "undecided", peer: first.replica, third: third.replica };
  }
  if (a.id === b.id) return { kind: "odd_here", peers: differs.map(({ replica }) => replica) };
  return { kind: "undecided", peer: first.replica, third: third.replica };
}

/** Ids of the last checkpoints by op, one table a replica. */
export type CheckpointIds = readonly Map<Op, Checksum>[];

/** Notes what a replica, or this one, says of a checkpoint; the oldest rows go. */
export function noteCheckpoint(state: State, of: ReplicaIndex, op: Op, id: Checksum): void {
  const table = state.checkpointIds[of];
  if (table === undefined || op === 0) return;
  table.set(op, id);
  for (const [oldest] of table) {
    if (table.size <= checkpointRowsMax) break;
    table.delete(oldest);
  }
}

/** What this replica stops for, or knows of another: a sentence, or null when all agree. */
export interface Difference {
  readonly stop: boolean;
  /** True when it is known whose checkpoint is the odd one. */
  readonly decided: boolean;
  readonly what: string;
}

/** Id of a checkpoint at a peer. Who agrees later agreed before: an id covers its parent's. */
function toldId(state: State, replica: ReplicaIndex, op: Op, own: Checksum): Checksum | null {
  const told = state.checkpointIds[replica];
  const exact = told?.get(op);
  if (exact !== undefined) return exact;
  for (const [at, id] of state.checkpointIds[state.replica] ?? []) {
    if (at > op && told?.get(at) === id) return own;
  }
  return null;
}

/** Looks at all checkpoints that this replica and a peer have in common. */
export function findDifference(state: State): Difference | null {
  const own = state.checkpointIds[state.replica];
  let worst: Difference | null = null;
  for (const [op, id] of own ?? []) {
    const told = othersOf(state.replica).map((replica) => {
      return { replica, id: toldId(state, replica, op, id) };
    });
    const found = differenceOf(state, op, compareIds(id, told));
    if (found !== null && (worst === null || found.stop)) worst = found;
  }
  if (worst === null) state.differsSinceMs = Infinity;
  return worst;
}

function differenceOf(state: State, op: Op, agreement: Agreement): Difference | null {
  const { replica } = state;
  switch (agreement.kind) {
    case "agree":
      return null;
    case "odd_there": {
      const { peer } = agreement;
      const what = `checkpoint ${op} of replica ${peer} differs from those of the two others`;
      return { stop: false, decided: true, what: `${what}; it stops, replace its volume` };
    }
    case "odd_here": {
      assert(agreement.peers.length === 2, "VSR-54: the odd one of three stops");
      const what = `checkpoint ${op} of replica ${replica} differs from those of the two others`;
      return { stop: true, decided: true, what: `${what}; replace its volume` };
    }
    case "undecided": {
      const { peer, third } = agreement;
      if (state.differsSinceMs === Infinity) state.differsSinceMs = state.nowMs;
      const { heartbeatMs, suspectMs } = state.options.timing;
      const heardMs = state.peers[third]?.heardMs ?? -Infinity;
      const alive = heardMs > state.nowMs - 2 * suspectMs;
      const waitedMs = state.nowMs - state.differsSinceMs;
      const stop = !alive || waitedMs > patienceHeartbeats * heartbeatMs;
      const what = `checkpoint ${op} differs on replicas ${replica} and ${peer}`;
      const hope = `replica ${third} must decide, so both stop without it`;
      return { stop, decided: false, what: `${what}; ${hope}` };
    }
    default:
      return agreement satisfies never;
  }
}
