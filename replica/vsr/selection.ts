import { assert } from "#replica/base/assert.ts";
import { opFrom } from "#replica/base/brands.ts";
import type { Op, ReplicaIndex, View } from "#replica/base/brands.ts";
import { pipelineMax, quorumNack, replicasCount } from "#replica/base/limits.ts";
import type { PrepareHeader } from "#replica/wire/prepare.ts";

/** What one replica says of its log in a DO_VIEW_CHANGE (rule A5). */
export interface Vote {
  readonly replica: ReplicaIndex;
  readonly logView: View;
  readonly op: Op;
  readonly commitMin: Op;
  /** From `op` down, without holes in the ops; null = blank. */
  readonly headers: readonly (PrepareHeader | null)[];
  readonly present: readonly boolean[];
  readonly nack: readonly boolean[];
}

/** What follows from the votes so far. */
export type Selection =
  /** The third vote may decide. */
  | { readonly kind: "wait"; readonly op: Op }
  /** All three voted and the op can be neither kept nor dropped: a person must help. */
  | { readonly kind: "stuck"; readonly op: Op }
  /** The new log's suffix, from its head down to what is committed. */
  | { readonly kind: "selected"; readonly headers: readonly PrepareHeader[] };

interface Opinion {
  readonly header: PrepareHeader | null;
  readonly present: boolean;
  readonly nack: boolean;
  /** The op lies in the range that the vote tells about. */
  readonly told: boolean;
}

const untold: Opinion = { header: null, present: false, nack: false, told: false };

function opinion(vote: Vote, op: number): Opinion {
  const index = vote.op - op;
  if (index < 0 || index >= vote.headers.length) return untold;
  return {
    header: vote.headers[index] ?? null,
    present: vote.present[index] ?? false,
    nack: vote.nack[index] ?? false,
    told: true,
  };
}

/** Lowest op that the votes prove to be committed or older: the selection never goes below it. */
export function committedFloor(votes: readonly Vote[]): number {
  let floor = 0;
  for (const vote of votes) {
    const lowest = vote.op - vote.headers.length + 1;
    const known = vote.headers[0]?.commitMax ?? 0;
    floor = Math.max(floor, vote.commitMin, lowest, known, vote.op - pipelineMax);
  }
  return floor;
}

function canonicalHeader(canonical: readonly Vote[], op: number): PrepareHeader | null {
  let header: PrepareHeader | null = null;
  for (const vote of canonical) {
    const own = opinion(vote, op).header;
    if (own === null) continue;
    assert(header === null || header.checksum === own.checksum, "VSR-20: equal log views agree");
    header = own;
  }
  return header;
}

/** The header of a committed op that no canonical vote has, from a vote that committed it. */
function committedHeader(votes: readonly Vote[], op: number): PrepareHeader | null {
  for (const vote of votes) {
    const own = opinion(vote, op).header;
    if (own !== null && op <= vote.commitMin) return own;
  }
  return null;
}

function nacks(votes: readonly Vote[], logView: View, op: number, h: PrepareHeader | null): number {
  let count = 0;
  for (const vote of votes) {
    const own = opinion(vote, op);
    const older = vote.logView < logView;
    const differs = own.header !== null && (h === null || own.header.checksum !== h.checksum);
    if (op > vote.op || own.nack || (older && differs)) count += 1;
  }
  return count;
}

function copies(votes: readonly Vote[], op: number, h: PrepareHeader): number {
  let count = 0;
  for (const vote of votes) {
    const own = opinion(vote, op);
    if (own.present && own.header?.checksum === h.checksum) count += 1;
  }
  return count;
}

/**
 * Chooses the log of a new view from at least a view-change quorum of votes, one a replica
 * (rule A5, TigerBeetle's quorum_headers). Pure. Never guesses: an op is dropped only when a
 * nack quorum certainly never acked it.
 */
export function selectLog(votes: readonly Vote[]): Selection {
  assert(votes.length >= 2 && votes.length <= replicasCount, "VSR-21: votes of a quorum");
  const logView = votes.reduce((max, vote) => (vote.logView > max ? vote.logView : max), 0 as View);
  const canonical = votes.filter((vote) => vote.logView === logView);
  const highest = canonical.reduce((max, vote) => Math.max(max, vote.op), 0);
  const floor = committedFloor(votes);
  const undecided = (op: number): Selection => {
    return { kind: votes.length < replicasCount ? "wait" : "stuck", op: opFrom(op) };
  };
  // A volume lost what it had promised: the third may hold it. Never a log without it.
  if (highest < floor) return undecided(floor);
  const headers: PrepareHeader[] = [];
  const lowest = canonicalHeader(canonical, floor) ?? committedHeader(votes, floor);
  if (lowest !== null) headers.push(lowest);
  for (let op = floor + 1; op <= highest; op += 1) {
    const h = canonicalHeader(canonical, op);
    if (nacks(votes, logView, op, h) >= quorumNack) break;
    if (h === null || copies(votes, op, h) === 0) return undecided(op);
    headers.push(h);
  }
  if (headers.length === 0) return undecided(floor);
  headers.reverse();
  assert((headers[0]?.op ?? 0) >= floor, "VSR-22: the canonical log reaches every committed op");
  for (let i = 0; i + 1 < headers.length; i += 1) {
    assert(headers[i]?.parent === headers[i + 1]?.checksum, "VSR-23: a selection chains");
  }
  return { kind: "selected", headers };
}
