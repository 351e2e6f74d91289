import { assert } from "#replica/base/assert.ts";
import type { ReplicaIndex } from "#replica/base/brands.ts";
import { mutated } from "#replica/base/mutation.ts";
import type { Member } from "#replica/wire/superblock.ts";
import { fillTo, memberOf } from "./membership.ts";
import { primaryOf } from "./quorum.ts";
import type { State } from "./state.ts";

declare const MUTATIONS: boolean | undefined;

/**
 * Why this replica will not propose that next key of a member now, as a sentence; null when it
 * will, or already did. All three must be well, so that the time of two keys is short.
 */
export function rekeyRefusal(state: State, member: Omit<Member, "replaceOp">): string | null {
  const { replica, incarnation, publicKey } = member;
  if (!state.leads || !state.voting || state.transfer !== null) {
    return `Ask the primary; replica ${primaryOf(state.view)} leads view ${state.view}.`;
  }
  const before = memberOf(state, replica);
  if (before?.incarnation !== incarnation) return `Replica ${replica} has another volume by now.`;
  if (before.publicKey === publicKey) return null;
  if (state.commitMin < fillTo(state) || state.replacing !== null) {
    return "A replacement or another key is under way; ask again when it is done.";
  }
  for (const [index, peer] of state.peers.entries()) {
    if (index === state.replica) continue;
    const silentMs = state.nowMs - peer.heardMs;
    if (!peer.vouches || silentMs > 2 * state.options.timing.suspectMs) {
      return `A next key needs all three, and replica ${index} is not heard; start it first.`;
    }
    if (peer.learner || peer.voteFloor > state.view) {
      return `Replica ${index} is a learner; wait until it votes.`;
    }
  }
  return null;
}

/** Asks for a member's next key; ignored when it is refused or in the log already. */
export function onRekey(state: State, member: Omit<Member, "replaceOp">): void {
  if (rekeyRefusal(state, member) !== null) return;
  if (memberOf(state, member.replica)?.publicKey === member.publicKey) return;
  state.replacing = member;
}

/** True once the log's word that this is the member's key is executed here. */
export function rekeyDone(state: State, member: Omit<Member, "replaceOp">): boolean {
  return state.members[member.replica]?.publicKey === member.publicKey;
}

/**
 * The key with which this replica signs what it makes next: as of this very log, above a REKEY the
 * next one, also where no commit is known yet.
 */
export function ownKey(state: State): string {
  const { incarnation } = state.superblock.durable.identity;
  const late = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("sign_by_executed");
  const now = late ? state.members[state.replica] : memberOf(state, state.replica);
  // It may come to lead with a REPLACE of itself in its log, which ends it once it is executed.
  const own = now?.incarnation === incarnation ? now : state.members[state.replica];
  assert(own?.incarnation === incarnation, "VSR-49: an author is a member of its own log");
  return own.publicKey;
}

/** Notes which key of this replica a peer holds durably; null = that of genesis. */
export function noteOwnKey(state: State, from: ReplicaIndex, made: readonly Member[]): void {
  const peer = state.peers[from];
  const own = made.find(({ replica }) => replica === state.replica);
  if (peer !== undefined) peer.ownKey = own?.publicKey ?? null;
}

/**
 * True when both peers and this volume hold this replica's present key durably: nobody will ask for
 * a former one again, so it may be thrown away.
 */
export function ownKeyTold(state: State): boolean {
  const own = state.members[state.replica];
  if (own === undefined || state.lost) return false;
  const hasty = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("drop_former_key");
  if (hasty) return true;
  const durable = state.superblock.durable.members[state.replica];
  if (durable?.publicKey !== own.publicKey) return false;
  return state.peers.every((peer, index) => {
    return index === state.replica || peer.ownKey === own.publicKey;
  });
}
