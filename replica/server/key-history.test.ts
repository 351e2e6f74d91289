// Goal: keys of members stay known, with the ops in which they served. Method: replacements one
// after another, with restarts and damaged files between them.
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { incarnationFrom, opFrom, replicaFrom } from "#replica/base/brands.ts";
import type { Member } from "#replica/wire/superblock.ts";
import { KeyHistory } from "./key-history.ts";

const folder = mkdtempSync(join(tmpdir(), "tigerchat-members-"));
after(() => rmSync(folder, { recursive: true }));

function member(replica: number, seed: number, replaceOp = 0): Member {
  const publicKey = seed.toString(16).padStart(64, "0");
  const incarnation = incarnationFrom(publicKey.slice(32));
  const known = { replica: replicaFrom(replica), incarnation, publicKey };
  return replaceOp === 0 ? known : { ...known, replaceOp: opFrom(replaceOp) };
}

const max = Number.MAX_SAFE_INTEGER;
const genesis = [member(0, 10), member(1, 11), member(2, 12)];
const seeds = genesis.map((one) => ({ ...one, replaceOp: 0 }));

/** Tenures as `replica seed from-to`. */
function told(history: KeyHistory, members: readonly Member[]): readonly string[] {
  return history.tenures(members).map(({ replica, publicKey, ops: { from, to } }) => {
    return `${replica} ${Number.parseInt(publicKey, 16)} ${from}-${to === max ? "" : to}`;
  });
}

test("members: former keys are told with their ops, through restarts", () => {
  const file = join(folder, "members.json");
  let history = new KeyHistory(file, seeds);
  deepStrictEqual(told(history, genesis), ["0 10 0-", "1 11 0-", "2 12 0-"]);
  const second = [genesis[0], member(1, 21, 100), genesis[2]].filter((one) => one !== undefined);
  // It is in the log, and not committed: a view change may drop it.
  history.note(second, 99);
  strictEqual(history.list.length, 3);
  history.note(second, 100);
  const third = second.with(1, member(1, 31, 250)).with(2, member(2, 32, 300));
  history = new KeyHistory(file, seeds);
  history.note(third, 300);
  history = new KeyHistory(file, []);
  deepStrictEqual(told(history, third), [
    "0 10 0-",
    "1 31 250-",
    "2 32 300-",
    "1 21 100-249",
    "2 12 0-299",
    "1 11 0-99",
  ]);
});

test("members: who is named by several files of a volume is known once", () => {
  const file = join(folder, "doubled.json");
  const former = [{ ...member(1, 21, 100), replaceOp: 100 }];
  const now = [seeds[0], { ...member(1, 31, 250), replaceOp: 250 }, seeds[2]];
  const named = [...seeds, ...former, ...now, ...former].filter((one) => one !== undefined);
  const members = [genesis[0], member(1, 31, 250), genesis[2]].filter((one) => one !== undefined);
  const wanted = ["0 10 0-", "1 31 250-", "2 12 0-", "1 21 100-249", "1 11 0-99"];
  const history = new KeyHistory(file, named);
  strictEqual(history.list.length, 5);
  deepStrictEqual(told(history, members), wanted);
  // So did volumes of before write it down.
  writeFileSync(file, JSON.stringify({ members: [...history.list, ...history.list] }));
  const again = new KeyHistory(file, named);
  strictEqual(again.list.length, 5);
  deepStrictEqual(told(again, members), wanted);
});

test("members: a damaged file is made anew of what the volume knows otherwise", () => {
  const file = join(folder, "damaged.json");
  for (const text of ["", "{", "[]", '{"members":[{}]}', `{"members":"${"x".repeat(99)}"}`]) {
    writeFileSync(file, text);
    deepStrictEqual(told(new KeyHistory(file, seeds), genesis), ["0 10 0-", "1 11 0-", "2 12 0-"]);
  }
  const failures: string[] = [];
  const nowhere = join(folder, "no", "such", "members.json");
  const history = new KeyHistory(nowhere, seeds, (why) => failures.push(why));
  strictEqual(history.list.length, 3);
  ok(failures.length === 1);
});
