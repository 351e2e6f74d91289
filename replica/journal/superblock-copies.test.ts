// Goal: two equal copies out of four make a superblock, and no fork or rollback passes for one.
// Method: every combination of seven kinds of copy in four places; every byte of a copy.
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { type Checksum, checksumFrom, checksumZero, opFrom } from "#replica/base/brands.ts";
import {
  nextSuperblock,
  testFormat,
  testIdentity,
  testPrepare,
  testTools,
} from "#test/support/test-volume.ts";
import { opaqueTools } from "#test/support/opaque-tools.ts";
import type { SuperblockContent } from "./superblock-codec.ts";
import { freshStanding } from "#replica/wire/superblock.ts";
import {
  chooseSuperblock,
  decodeSuperblockCopy,
  encodeSuperblock,
  type SuperblockCopy,
  superblockCopies,
  superblockCopyBytes,
} from "./superblock-copies.ts";

const format = testFormat(opaqueTools, 20);
const first: SuperblockContent = {
  slotBytes: 16_384,
  state: {
    sequence: 1,
    identity: testIdentity(20),
    members: format.members,
    view: format.voteFloor,
    logView: format.voteFloor,
    viewHeaders: [],
    commitMax: opFrom(0),
    checkpoint: format.checkpoint,
    kept: [],
    quorumCheckpointOp: opFrom(0),
    recovering: false,
    voteFloor: format.voteFloor,
    faultyOps: [],
    slots: format.slots,
    standing: freshStanding(0),
  },
};

function contentAt(sequence: number, view: number): SuperblockContent {
  const viewHeaders = [9, 8, 7].map((op) => testPrepare(op, { view }).header);
  const faultyOps = [opFrom(4), opFrom(6)];
  const state = nextSuperblock(first.state, { view, viewHeaders, faultyOps, checkpointOp: 3 });
  return { ...first, state: { ...state, sequence } };
}

function encode(content: SuperblockContent, number: number, parent: Checksum) {
  const bytes = new Uint8Array(superblockCopies * superblockCopyBytes);
  const checksum = encodeSuperblock(testTools, content, { number, parent }, bytes);
  return { bytes, checksum };
}

function copyOf(bytes: Uint8Array, copy: number): Uint8Array {
  return bytes.slice(copy * superblockCopyBytes, (copy + 1) * superblockCopyBytes);
}

test("journal: a superblock's content comes back from every copy", () => {
  const content = contentAt(41, 5);
  const { bytes, checksum } = encode(content, 12, checksumZero);
  for (let copy = 0; copy < superblockCopies; copy += 1) {
    const found = decodeSuperblockCopy(testTools, copyOf(bytes, copy), copy);
    ok(found.kind === "valid");
    deepStrictEqual(found.content, content);
    deepStrictEqual([found.number, found.checksum, found.parent], [12, checksum, checksumZero]);
  }
});

test("journal: one bit flipped in any byte of a copy, or another place, makes it invalid", () => {
  const { bytes } = encode(contentAt(41, 5), 12, checksumZero);
  const copy = copyOf(bytes, 2);
  for (let at = 0; at < copy.length; at += 1) {
    copy[at] = (copy[at] ?? 0) ^ (1 << (at % 8));
    const found = decodeSuperblockCopy(testTools, copy, 2);
    copy[at] = (copy[at] ?? 0) ^ (1 << (at % 8));
    strictEqual(found.kind, "invalid", `byte ${at}`);
  }
  strictEqual(decodeSuperblockCopy(testTools, copy, 1).kind, "invalid");
});

const kinds = ["blank", "rotten", "old", "new", "other", "gap", "format"] as const;

function everyChoice(): readonly (readonly (typeof kinds)[number][])[] {
  const choices: (typeof kinds)[number][][] = [];
  for (const a of kinds) {
    for (const b of kinds) {
      for (const c of kinds) for (const d of kinds) choices.push([a, b, c, d]);
    }
  }
  return choices;
}

/** Copies of four writes: old, its successor, a rival successor, and one that skips a number. */
function copiesByKind(): (kind: (typeof kinds)[number], copy: number) => SuperblockCopy {
  const old = encode(contentAt(1, 1), 10, checksumZero);
  const next = encode(contentAt(2, 2), 11, old.checksum);
  const other = encode(contentAt(2, 3), 11, old.checksum);
  const gap = encode(contentAt(3, 4), 13, checksumFrom("ab".repeat(32)));
  const bytes = { old, new: next, other, gap };
  const decoded = new Map<string, SuperblockCopy>();
  for (const kind of ["old", "new", "other", "gap"] as const) {
    for (let copy = 0; copy < superblockCopies; copy += 1) {
      const found = decodeSuperblockCopy(testTools, copyOf(bytes[kind].bytes, copy), copy);
      decoded.set(`${kind}${copy}`, found);
    }
  }
  return (kind, copy) => {
    if (kind === "blank") return { kind: "blank" };
    if (kind === "format") return { kind: "old_format", version: 0 };
    return decoded.get(`${kind}${copy}`) ?? { kind: "invalid" };
  };
}

test("journal: of all combinations of four copies only a majority of equals is ever chosen", () => {
  const make = copiesByKind();
  for (const choice of everyChoice()) {
    const result = chooseSuperblock(choice.map(make));
    const label = choice.join();
    const has = (kind: (typeof kinds)[number]) => choice.includes(kind);
    const count = (kind: (typeof kinds)[number]) => choice.filter((k) => k === kind).length;
    const sound = (["old", "new", "other", "gap"] as const).filter(has);
    const consistent = sound.length === 1 || (sound.length === 2 && has("old") && !has("gap"));
    if (count("blank") === 4) strictEqual(result.kind, "blank", label);
    else if (has("format")) ok(result.kind === "refused" && result.code === "old_format", label);
    else if (sound.length > 0 && !consistent) {
      ok(result.kind === "refused" && result.code === "fork", label);
    } else if (result.kind === "chosen") {
      const view = result.content.state.view;
      const kind = ["old", "new", "other", "gap"][view - 1] as (typeof kinds)[number];
      ok(count(kind) >= 2, label);
      // The successor of an equally frequent older one wins, never the other way round.
      if (kind === "old") ok(count("new") < 2 && count("other") < 2, label);
      deepStrictEqual(
        result.stale,
        [0, 1, 2, 3].filter((copy) => choice[copy] !== kind),
        label,
      );
    } else {
      ok(result.kind === "unfinished" || result.kind === "refused", label);
      for (const kind of sound) ok(count(kind) < 2, label);
      if (result.kind === "unfinished") deepStrictEqual(choice.slice(2), ["blank", "blank"]);
    }
  }
});

test("journal: a write cut anywhere leaves the old superblock or the new one", () => {
  const make = copiesByKind();
  const old = [0, 1, 2, 3].map((copy) => make("old", copy));
  for (let written = 0; written < 4; written += 1) {
    // The pair in flight may be torn in any way; the pair before it is complete.
    const pair = written < 2 ? 0 : 2;
    for (const torn of [[], [0], [1], [0, 1]]) {
      const copies = old.map((copy, index): SuperblockCopy => {
        if (index < pair) return make("new", index);
        if (index > pair + 1) return copy;
        return torn.includes(index - pair) ? { kind: "invalid" } : make("new", index);
      });
      strictEqual(chooseSuperblock(copies).kind, "chosen");
    }
  }
});
