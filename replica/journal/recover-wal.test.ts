// Goal: what a log means is judged by the superblock first (A5a 4, 8, 9), and a faulty slot names
// the op that may have been acknowledged in it.
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { opFrom, viewFrom } from "#replica/base/brands.ts";
import type { PrepareHeader } from "#replica/wire/prepare.ts";
import { freshStanding, type SuperblockState } from "#replica/wire/superblock.ts";
import { opaqueTools } from "#test/support/opaque-tools.ts";
import { testFormat, testIdentity, testPrepare } from "#test/support/test-volume.ts";
import { liveOpOf, slotOf } from "./geometry.ts";
import { type Identifier, identifierAbsent } from "./identifier-sector.ts";
import { judgeHeader } from "./judge-header.ts";
import { recoverWal, type SlotFacts } from "./recover-wal.ts";

const geometry = { slotsCount: 20, slotBytes: 16_384 };
const format = testFormat(opaqueTools, 20);

function headers(view: number, ...ops: readonly number[]): readonly PrepareHeader[] {
  return ops.map((op) => testPrepare(op, { view }).header);
}

function superblock(change: Partial<SuperblockState>): SuperblockState {
  return {
    sequence: 1,
    identity: testIdentity(20),
    members: format.members,
    view: viewFrom(0),
    logView: viewFrom(0),
    viewHeaders: [],
    commitMax: opFrom(0),
    checkpoint: format.checkpoint,
    kept: [],
    quorumCheckpointOp: opFrom(0),
    recovering: false,
    voteFloor: viewFrom(0),
    faultyOps: [],
    slots: format.slots,
    standing: freshStanding(0),
    ...change,
  };
}

function recover(
  state: SuperblockState,
  slot: number,
  scan: SlotFacts,
  identifier: Identifier,
  sure = true,
) {
  const scans = new Array<SlotFacts>(20).fill({ kind: "blank" });
  const identifiers = new Array<Identifier>(20).fill(identifierAbsent);
  scans[slot] = scan;
  identifiers[slot] = identifier;
  const identifiersSure = new Array<boolean>(20).fill(sure);
  const parts = { scans, identifiers, identifiersSure };
  const wal = recoverWal({ geometry, superblock: state, ...parts });
  const verdict = wal.verdicts[slot];
  ok(verdict !== undefined);
  return { verdict, wal };
}

function whole(header: PrepareHeader): SlotFacts {
  return { kind: "whole", header, id: { keyId: 1, counter: 1 }, units: 1 };
}

function present(header: PrepareHeader): Identifier {
  return { state: "present", op: header.op, header };
}

const invalid: SlotFacts = { kind: "invalid", op: null, header: null, unit: 0 };

test("journal: the superblock calls, frees or voids headers by range, view and log_view", () => {
  const named = headers(2, 9, 8, 6);
  const normal = superblock({ view: viewFrom(2), logView: viewFrom(2), viewHeaders: named });
  const judge = (op: number, view: number, state: SuperblockState) => {
    return judgeHeader(testPrepare(op, { view }).header, state);
  };
  strictEqual(judge(8, 2, normal), "called");
  strictEqual(judge(8, 1, normal), "void");
  strictEqual(judge(7, 2, normal), "void", "blank inside the range");
  strictEqual(judge(5, 1, normal), "free", "below the range");
  strictEqual(judge(10, 2, normal), "called", "the log of log_view goes on");
  strictEqual(judge(10, 1, normal), "void", "a truncated leftover");
  strictEqual(judge(10, 3, normal), "void", "of a view whose log_view never became durable");
  const changing = { ...normal, view: viewFrom(4) };
  strictEqual(judge(10, 2, changing), "void", "the stored headers are the whole log");
  strictEqual(judge(9, 2, changing), "called");
  strictEqual(judge(3, 0, superblock({})), "free", "no headers yet");
});

test("journal: torn over an identifier that the selected log dropped may nack (A5a 4)", () => {
  const [selected] = headers(2, 7);
  const [dropped] = headers(1, 7);
  ok(selected !== undefined && dropped !== undefined);
  const state = superblock({ view: viewFrom(2), logView: viewFrom(2), viewHeaders: [selected] });
  const torn: SlotFacts = { kind: "mixed", op: 7, view: 2 };
  strictEqual(recover(state, 7, torn, present(dropped)).verdict.state, "empty");
  const finished = recover(state, 7, whole(selected), present(dropped)).verdict;
  deepStrictEqual([finished.state, finished.row.repair], ["clean", "finish"]);
  strictEqual(recover(state, 7, torn, present(selected)).verdict.state, "faulty");
});

test("journal: damage beside an identifier of a dropped op is no denial: it may be behind", () => {
  const [selected] = headers(2, 7);
  const [dropped] = headers(1, 7);
  ok(selected !== undefined && dropped !== undefined);
  // Op 7 of view 1 was replaced by that of view 2, which was acknowledged. Then its unit decayed
  // and so did the newest copy of the sector; or power was cut before the identifier followed.
  const state = superblock({ view: viewFrom(3), logView: viewFrom(2), viewHeaders: [selected] });
  for (const scan of [invalid, { kind: "blank" } as const]) {
    const first = recover(state, 7, scan, present(dropped));
    deepStrictEqual(first.wal.slots, [{ op: 7, state: "faulty", header: null }]);
    deepStrictEqual(first.verdict.identifier, { state: "void", op: 7, header: dropped });
    // Nor at the next start, nor may a read that works again bring the dropped op back.
    const { identifier } = first.verdict;
    strictEqual(recover(state, 7, scan, identifier).verdict.state, "faulty");
    strictEqual(recover(superblock({}), 7, whole(dropped), identifier).verdict.state, "empty");
  }
});

test("journal: what the selected log dropped once stays dropped under a later superblock", () => {
  const [dropped] = headers(1, 9);
  ok(dropped !== undefined);
  const viewHeaders = headers(2, 8);
  const state = superblock({ view: viewFrom(2), logView: viewFrom(2), viewHeaders });
  const { verdict } = recover(state, 9, whole(dropped), present(dropped));
  strictEqual(verdict.state, "empty");
  strictEqual(verdict.identifier.state, "void");
  const later = superblock({
    view: viewFrom(3),
    logView: viewFrom(3),
    viewHeaders: headers(3, 14, 13),
  });
  const again = recover(later, 9, whole(dropped), verdict.identifier).verdict;
  strictEqual(again.state, "empty");
});

test("journal: a corrupt slot keeps its readable header and is neither present nor nacked", () => {
  const [header] = headers(0, 7);
  ok(header !== undefined);
  const { verdict, wal } = recover(superblock({}), 7, invalid, present(header));
  deepStrictEqual(wal.slots, [{ op: 7, state: "faulty", header }]);
  deepStrictEqual(verdict.identifier, { state: "faulty", op: 7, header });
});

test("journal: a corrupt slot of an old op counts as the live op that it may have held", () => {
  const [header] = headers(0, 7);
  ok(header !== undefined);
  const checkpoint = { ...format.checkpoint, op: opFrom(10) };
  const state = superblock({ checkpoint });
  const lost = { op: 27, state: "faulty", header: null };
  const listed = superblock({ checkpoint, faultyOps: [opFrom(27)] });
  const doubts = [
    // The newest copy of the sector is damaged: the other one speaks of an earlier time.
    recover(state, 7, invalid, present(header), false),
    recover(state, 7, invalid, { state: "unreadable" }),
    recover(state, 7, invalid, { state: "faulty", op: opFrom(7), header: null }),
    recover(state, 7, { kind: "invalid", op: opFrom(8), header: null, unit: 0 }, present(header)),
    recover(listed, 7, invalid, present(header)),
    recover(listed, 7, { kind: "mixed", op: opFrom(7), view: 0 }, identifierAbsent),
  ];
  for (const { wal } of doubts) deepStrictEqual(wal.slots, [lost]);
  strictEqual(recover(superblock({}), 7, invalid, identifierAbsent).verdict.op, 7);
});

test("journal: a corrupt slot keeps the old op that a sure identifier names (A5a 8)", () => {
  const [header] = headers(0, 7);
  ok(header !== undefined);
  const state = superblock({ checkpoint: { ...format.checkpoint, op: opFrom(10) } });
  for (const scan of [invalid, { kind: "blank" } as const]) {
    const { verdict, wal } = recover(state, 7, scan, present(header));
    deepStrictEqual(wal.slots, [{ op: 7, state: "faulty", header }]);
    deepStrictEqual(verdict.identifier, { state: "faulty", op: 7, header });
    // At the next start too.
    deepStrictEqual(recover(state, 7, scan, verdict.identifier as Identifier).wal.slots, wal.slots);
  }
  // A torn write of the next wrap leaves no doubt: its sync never returned.
  const torn: SlotFacts = { kind: "mixed", op: 7, view: 0 };
  deepStrictEqual(recover(state, 7, torn, present(header)).wal.slots, []);
});

test("journal: a fault named by the superblock outlives a torn repair", () => {
  const state = superblock({ faultyOps: [opFrom(7)] });
  const torn: SlotFacts = { kind: "mixed", op: 7, view: 0 };
  strictEqual(recover(state, 7, torn, identifierAbsent).verdict.state, "faulty");
  strictEqual(recover(superblock({}), 7, torn, identifierAbsent).verdict.state, "empty");
});

test("journal: an op beyond checkpoint + N shows a superblock older than its log", () => {
  const [header] = headers(0, 27);
  ok(header !== undefined);
  strictEqual(recover(superblock({}), 7, whole(header), present(header)).wal.beyond, 27);
  const state = superblock({ checkpoint: { ...format.checkpoint, op: opFrom(7) } });
  strictEqual(recover(state, 7, whole(header), present(header)).wal.beyond, null);
});

test("journal: every slot has one live op, just above the checkpoint", () => {
  for (let checkpoint = 0; checkpoint < 65; checkpoint += 1) {
    for (let slot = 0; slot < 20; slot += 1) {
      const op = liveOpOf(slot, opFrom(checkpoint), geometry);
      ok(op > checkpoint && op <= checkpoint + 20);
      strictEqual(slotOf(op, geometry), slot);
    }
  }
});
