// Goal: the choice of a new view's log, over every combination of what up to three votes can say
// of one op.
// Method: enumerate; compare with what could have been committed at all.
import assert from "node:assert/strict";
import { test } from "node:test";
import { opFrom, replicaFrom, viewFrom } from "#replica/base/brands.ts";
import type { PrepareHeader } from "#replica/wire/prepare.ts";
import { selectLog, type Vote } from "./selection.ts";
import { chainOf, otherThan } from "./testdata/headers.ts";

const chain = chainOf(12);
const base = 4;

function at(op: number): PrepareHeader {
  const header = chain[op];
  assert.ok(header !== undefined);
  return header;
}

/** What one replica may say of the op over the committed base. */
type Word =
  | "absent"
  | "blank nack"
  | "blank faulty"
  | "h present"
  | "h nack"
  | "h faulty"
  | "other";
const words: readonly Word[] = [
  "absent",
  "blank nack",
  "blank faulty",
  "h present",
  "h nack",
  "h faulty",
  "other",
];

function voteOf(replica: number, logView: number, word: Word): Vote {
  const head = at(base);
  const common = { replica: replicaFrom(replica), logView: viewFrom(logView), commitMin: head.op };
  const below = { headers: [head], present: [true], nack: [false] };
  if (word === "absent") return { ...common, op: head.op, ...below };
  const h = at(base + 1);
  const header = word.startsWith("blank") ? null : word === "other" ? otherThan(h) : h;
  const present = word === "h present" || word === "other";
  const nack = word.endsWith("nack");
  // A blank op needs a header above it: the head of a log is always known.
  if (header === null) {
    return {
      ...common,
      op: opFrom(base + 2),
      headers: [at(base + 2), null, head],
      present: [false, false, true],
      nack: [true, nack, false],
    };
  }
  return {
    ...common,
    op: h.op,
    headers: [header, head],
    present: [present, true],
    nack: [nack, false],
  };
}

/** Words that do not deny having acked h: only these may stand behind a commit of h. */
function mayHaveAcked(word: Word): boolean {
  return word === "h present" || word === "h faulty" || word === "blank faulty";
}

interface Case {
  readonly votes: readonly { readonly logView: number; readonly word: Word }[];
}

function casesOf(count: number): readonly Case[] {
  let cases: readonly Case[] = [{ votes: [] }];
  for (let i = 0; i < count; i += 1) {
    cases = cases.flatMap(({ votes }) =>
      [0, 1].flatMap((logView) => words.map((word) => ({ votes: [...votes, { logView, word }] }))),
    );
  }
  return cases;
}

/** Canonical votes that contradict each other cannot happen: nor can one of `other` with h. */
function possible({ votes }: Case): boolean {
  const canonical = canonicalOf(votes);
  const hasH = canonical.some(({ word }) => word.startsWith("h"));
  return !(hasH && canonical.some(({ word }) => word === "other"));
}

function canonicalOf(votes: Case["votes"]): Case["votes"] {
  const highest = Math.max(...votes.map(({ logView }) => logView));
  return votes.filter(({ logView }) => logView === highest);
}

for (const count of [2, 3]) {
  test(`vsr: selection: ${count} votes never drop an op that may be committed`, () => {
    let dropped = 0;
    for (const one of casesOf(count).filter(possible)) {
      const canonical = canonicalOf(one.votes);
      if (!canonical.some(({ word }) => word.startsWith("h"))) continue;
      const votes = one.votes.map(({ logView, word }, i) => voteOf(i, logView, word));
      const selection = selectLog(votes);
      const highest = Math.max(...one.votes.map(({ logView }) => logView));
      const holders = one.votes.filter(({ logView, word }) => {
        // With an older log_view only h itself may have been acked: it stands in the newer log.
        return mayHaveAcked(word) && (logView === highest || word !== "blank faulty");
      });
      const committable = holders.length + (3 - count) >= 2;
      if (selection.kind !== "selected") continue;
      const kept = selection.headers.some((header) => header.op === base + 1);
      if (!kept) dropped += 1;
      assert.ok(kept || !committable, JSON.stringify(one));
      const copies = one.votes.filter(({ word }) => word === "h present").length;
      if (kept) assert.ok(copies > 0, `kept without a copy: ${JSON.stringify(one)}`);
    }
    assert.ok(dropped > 0);
  });

  test(`vsr: selection: ${count} votes without faults always decide when the op is intact`, () => {
    for (const one of casesOf(count).filter(possible)) {
      if (one.votes.some(({ word }) => word.endsWith("faulty"))) continue;
      if (canonicalOf(one.votes).some(({ word }) => word.startsWith("blank"))) continue;
      const votes = one.votes.map(({ logView, word }, i) => voteOf(i, logView, word));
      const selection = selectLog(votes);
      const intact = one.votes.some(({ word }) => word === "h present" || word === "other");
      if (count === 3 || intact) assert.notEqual(selection.kind, "stuck", JSON.stringify(one));
      if (count === 3) assert.equal(selection.kind, "selected", JSON.stringify(one));
    }
  });
}

test("vsr: selection: the third vote is awaited, then the shard is stuck, never a guess", () => {
  const two = [voteOf(0, 1, "h faulty"), voteOf(1, 1, "absent")];
  assert.deepEqual(selectLog(two), { kind: "wait", op: base + 1 });
  assert.deepEqual(selectLog([...two, voteOf(2, 1, "h faulty")]), { kind: "stuck", op: base + 1 });
  assert.equal(selectLog([...two, voteOf(2, 1, "h nack")]).kind, "selected");
  const kept = selectLog([...two, voteOf(2, 1, "h present")]);
  assert.ok(kept.kind === "selected" && kept.headers[0]?.op === base + 1);
});

test("vsr: selection: an older log_view with another entry counts as a denial", () => {
  const votes = [voteOf(0, 1, "h nack"), voteOf(1, 0, "other")];
  const selection = selectLog(votes);
  assert.ok(selection.kind === "selected" && selection.headers[0]?.op === base);
});

test("vsr: selection: what two may have acked stays (PAR, NATS #7549)", () => {
  const votes = [voteOf(0, 1, "h faulty"), voteOf(1, 1, "h present")];
  const selection = selectLog(votes);
  assert.ok(selection.kind === "selected" && selection.headers[0]?.op === base + 1);
});

test("vsr: selection: restart with log_view = view keeps 6 to 9 though the WAL ends at 5", () => {
  // rule A2: A and C committed 6 to 9 in view 0; B led view 1, persisted its headers and crashed
  // before the bodies; A died. B's vote comes from the durable headers, so C's copies count.
  const headers = [9, 8, 7, 6, 5].map(at);
  const b: Vote = {
    replica: replicaFrom(1),
    logView: viewFrom(1),
    op: opFrom(9),
    commitMin: opFrom(5),
    headers,
    present: [false, false, false, false, true],
    nack: [true, true, true, true, false],
  };
  const c: Vote = {
    replica: replicaFrom(2),
    logView: viewFrom(0),
    op: opFrom(9),
    commitMin: opFrom(9),
    headers: [at(9)],
    present: [true],
    nack: [false],
  };
  const selection = selectLog([b, c]);
  assert.ok(selection.kind === "selected" && selection.headers[0]?.op === 9);
});

test("vsr: selection: canonical logs that differ are a bug, not a choice", () => {
  assert.throws(() => selectLog([voteOf(0, 1, "h present"), voteOf(1, 1, "other")]), /VSR-20/);
});
