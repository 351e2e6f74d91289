import { assert } from "#replica/base/assert.ts";
import type { Op, ReplicaIndex } from "#replica/base/brands.ts";
import { opFrom } from "#replica/base/brands.ts";
import { pipelineMax } from "#replica/base/limits.ts";
import { mutated } from "#replica/base/mutation.ts";
import type { Prepare, PrepareHeader } from "#replica/wire/prepare.ts";
import { replacementOf } from "#replica/wire/replacement.ts";
import type { Member } from "#replica/wire/superblock.ts";
import { watchConditions } from "./alarms.ts";
import { primaryOf } from "./quorum.ts";
import type { State } from "./state.ts";
import { persist } from "./superblock.ts";

declare const MUTATIONS: boolean | undefined;

/** The member at an index as this replica's log has it; null: a REPLACE whose body is unknown. */
export function memberOf(state: State, replica: number): Member | null {
  return state.current[replica] ?? null;
}

/** Of two members of one index the later one. */
export function laterMember(a: Member, b: Member): Member {
  return (b.replaceOp ?? 0) > (a.replaceOp ?? 0) ? b : a;
}

/**
 * Brings the members in line with the log: a REPLACE or REKEY counts from the moment it is in it,
 * prepared or committed, and no longer when a view change drops it (A5a 3).
 */
export function refreshMembers(state: State): void {
  const { log } = state;
  if (log.replaces.size === 0 && !state.membersDirty) return;
  // What is committed is news too: a former key ends by that.
  let changed = state.membersDirty;
  state.membersDirty = false;
  const next: (Member | null)[] = [...state.members];
  const late = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("fence_at_commit");
  for (const [op, header] of [...log.replaces].sort(([a], [b]) => a - b)) {
    if (op <= state.commitMin || log.header(op)?.checksum !== header.checksum) {
      log.replaces.delete(op);
      continue;
    }
    const index = header.requestsCount;
    if (late || (state.members[index]?.replaceOp ?? 0) >= op) continue;
    const { prepare } = log.slot(op);
    const known = prepare !== null && prepare.header.checksum === header.checksum;
    next[index] = memberAfter(next[index] ?? null, header, known ? replacementOf(prepare) : null);
    if (!known) readReplace(state, header);
  }
  for (const [i, member] of next.entries()) {
    const before = state.current[i];
    if (before?.publicKey !== member?.publicKey) changed = true;
    if (before?.incarnation === member?.incarnation) continue;
    changed = true;
    if (i !== state.replica) forgetPeer(state, i as ReplicaIndex);
  }
  if (!changed) return;
  state.current = next;
  const members = next.filter((member) => member !== null);
  state.emit({ kind: "members", members, committed: state.members.slice() });
}

/** The member that a REPLACE or REKEY leaves; `made`: null while its body is not here. */
function memberAfter(
  before: Member | null,
  { kind }: PrepareHeader,
  made: Member | null,
): Member | null {
  if (kind === "replace") return made;
  // The volume is known, and stays; its next key counts when the body is here.
  return before === null || made === null ? before : made;
}

/** After a restart the body of a REPLACE that is not executed yet is on the disk only. */
function readReplace(state: State, { op, checksum }: PrepareHeader): void {
  if (!state.opened || !state.log.present(op) || state.suffixReads.has(op)) return;
  state.suffixReads.add(op);
  state.emit({ kind: "read_prepare", op, checksum, purpose: { kind: "pipeline" } });
}

/** Nothing that the old incarnation said counts any more. */
function forgetPeer(state: State, replica: ReplicaIndex): void {
  const { change, pipeline } = state;
  change.votes.delete(replica);
  change.suspectedMs[replica] = -Infinity;
  pipeline.forget(replica);
  const peer = state.peers[replica];
  assert(peer !== undefined, "VSR-03: peer");
  peer.heardMs = -Infinity;
  peer.ledMs = -Infinity;
  peer.commitMin = opFrom(0);
  peer.checkpointOp = opFrom(0);
  peer.formation = "unknown";
  peer.formed = false;
  peer.judged = { life: 0, nonce: 0, verdict: "unknown" };
  peer.vouches = false;
  peer.learner = false;
  peer.versions = null;
  peer.ownKey = null;
}

/** A REPLACE or REKEY is committed: it is a fact for ever. */
export function applyReplace(state: State, prepare: Prepare): void {
  const member = replacementOf(prepare);
  const { replica } = member;
  const before = state.members[replica];
  assert(before !== undefined, "VSR-03: members");
  state.members[replica] = laterMember(before, member);
  const others = state.replaced.filter((each) => each.replica !== replica);
  state.replaced = [...others, member].sort((a, b) => a.replica - b.replica);
  state.membersDirty = true;
  refreshMembers(state);
  persist(state);
  if (replica === state.replica) fenceSelf(state);
}

/**
 * Notes that this volume is not the member any more: its own log or checkpoint says so, or a peer's
 * ping. Peers drop all that such a volume says, so nobody would answer it.
 */
export function fenceSelf(state: State): void {
  const { incarnation } = state.superblock.durable.identity;
  if (state.lost || state.members[state.replica]?.incarnation === incarnation) return;
  state.lost = true;
  const what = `this volume of replica ${state.replica} was replaced by another one`;
  state.lostWhy = `${what}; it has no vote any more, remove it`;
  persist(state);
  watchConditions(state);
  state.emit({ kind: "status" });
}

/**
 * Takes over members that a REPLACE made which is committed: from a checkpoint or a peer's ping,
 * where they are later than what is known. A replica that was away meanwhile would drop all that a
 * new member says, though it leads.
 */
export function adoptMembers(state: State, members: readonly Member[]): void {
  const news = members.some(({ replica, replaceOp }) => {
    return (replaceOp ?? 0) > (state.members[replica]?.replaceOp ?? 0);
  });
  if (!news) return;
  for (const member of members) {
    const before = state.members[member.replica];
    assert(before !== undefined, "VSR-03: members");
    state.members[member.replica] = laterMember(before, member);
  }
  state.membersDirty = true;
  refreshMembers(state);
  // What is told of one's members is durable; a life begins with a write of its own.
  if (state.life !== null) persist(state);
  fenceSelf(state);
}

/** The op up to which no-ops follow the last REPLACE of the log: what it decides lies below. */
export function fillTo(state: State): number {
  let op = 0;
  for (const member of state.current) op = Math.max(op, member?.replaceOp ?? 0);
  return op === 0 ? 0 : op + pipelineMax;
}

/** Last op that a replaced volume must learn, once everything up to it is executed; or null. */
export function replacementDone(state: State, incarnation: string): Op | null {
  const member = state.members.find((each) => each.incarnation === incarnation);
  if (member?.replaceOp === undefined) return null;
  const learnOp = opFrom(member.replaceOp + pipelineMax);
  return state.commitMin >= learnOp ? learnOp : null;
}

/**
 * Why this replica will not propose that replacement now, as a sentence; null when it will, or
 * already did. Needs both peers of the lost one as voters, so never beside another learner.
 */
export function replaceRefusal(state: State, member: Omit<Member, "replaceOp">): string | null {
  const { replica } = member;
  if (!state.leads || !state.voting || state.transfer !== null) {
    return `Ask the primary; replica ${primaryOf(state.view)} leads view ${state.view}.`;
  }
  if (replica === state.replica) {
    return `Replica ${replica} is the primary; give its place away first.`;
  }
  if (memberOf(state, replica)?.incarnation === member.incarnation) return null;
  if (state.commitMin < fillTo(state) || state.replacing !== null) {
    return "Another replacement is under way; ask again when it is done.";
  }
  const other = 3 - state.replica - replica;
  const peer = state.peers[other];
  const silentMs = state.nowMs - (peer?.heardMs ?? -Infinity);
  if (peer?.vouches !== true || silentMs > 2 * state.options.timing.suspectMs) {
    return `A replacement needs both peers, and replica ${other} is not heard; start it first.`;
  }
  if (peer.learner || peer.voteFloor > state.view) {
    return `Replica ${other} is a learner itself; wait until it votes.`;
  }
  return null;
}

/** Asks for a replacement; ignored when it is refused or in the log already. */
export function onReplace(state: State, member: Omit<Member, "replaceOp">): void {
  if (replaceRefusal(state, member) !== null) return;
  if (memberOf(state, member.replica)?.incarnation === member.incarnation) return;
  state.replacing = member;
}

/**
 * A learner becomes a voter (rule A11 step 4): everything up to the last no-op after its REPLACE is
 * executed and on its disk, and its checkpoint was verified when it was loaded.
 */
export function considerVoting(state: State): void {
  const { durable, writing } = state.superblock;
  if (!state.recovering || !durable.recovering || writing !== null) return;
  if (state.status !== "normal" || state.sync !== null || !state.logDurable) return;
  const early = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("learner_votes_early");
  if (!early) {
    if (state.commitMin < durable.standing.learnOp) return;
    for (let op = state.checkpoint.op + 1; op <= state.log.head; op += 1) {
      if (!state.log.present(op)) return;
    }
  }
  assert(early || state.commitMin >= durable.standing.learnOp, "VSR-48: a learner has learned");
  state.recovering = false;
  persist(state);
  state.emit({ kind: "status" });
}
