// The two judges before they judge anybody: sound histories pass, both find each kind of lie.
import { deepStrictEqual, notStrictEqual, ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { checkHistory } from "./check-history.ts";
import { History, type LookRecord, type PostRecord, type SeenEntry } from "./history.ts";
import { judgeByPorcupine } from "./porcupine.ts";

const room = "alpha";

function post(number: number, times: readonly [number, number | null]): PostRecord {
  const [callMs, returnMs] = times;
  const key = String(number).padStart(32, "0");
  const text = { sender: "a", body: `a ${number}` };
  const seq = returnMs === null ? null : number;
  return { kind: "post", room, client: number % 3, key, ...text, callMs, returnMs, seq };
}

function entryOf({ key, sender, body }: PostRecord, seq: number): SeenEntry {
  return { seq, key, sender, body };
}

function look(
  kind: LookRecord["kind"],
  entries: readonly SeenEntry[],
  times: readonly [number, number],
): LookRecord {
  const [callMs, returnMs] = times;
  const head = entries.at(-1)?.seq ?? 0;
  return { kind, room, client: 9, callMs, returnMs, head, entries };
}

/** Ten posts one after the other, the second and third at the same time, then a read of all. */
function soundHistory(): History {
  const history = new History();
  for (let n = 1; n <= 10; n += 1) history.posts.push(post(n, [10 * n, 10 * n + 5]));
  history.posts[1] = post(2, [20, 36]);
  const entries = history.posts.map((one, index) => entryOf(one, index + 1));
  history.looks.push(look("peek", entries.slice(2, 5), [60, 90]));
  history.looks.push(look("push", entries.slice(0, 2), [36, 36]));
  history.looks.push(look("read", entries, [200, 210]));
  return history;
}

function finalEntries(history: History): SeenEntry[] {
  const [read] = history.looks.filter((one) => one.kind === "read");
  ok(read !== undefined);
  return [...read.entries];
}

function withFinal(history: History, entries: readonly SeenEntry[]): History {
  history.looks.splice(0, history.looks.length, look("read", entries, [200, 210]));
  return history;
}

async function bothReject(history: History, says: RegExp): Promise<void> {
  const found = checkHistory(history);
  ok(
    found.some((what) => says.test(what)),
    `the own check said: ${found.join("; ")}`,
  );
  notStrictEqual(await judgeByPorcupine(history), null);
}

test("faults: both judges pass a sound history, with old peeks and concurrent posts", async () => {
  deepStrictEqual(checkHistory(soundHistory()), []);
  strictEqual(await judgeByPorcupine(soundHistory()), null);
});

test("faults: both judges pass unknown outcomes, applied and not", async () => {
  const history = soundHistory();
  const applied = post(11, [105, null]);
  history.posts.push(applied, post(12, [50, null]));
  withFinal(history, [...finalEntries(history), entryOf(applied, 11)]);
  deepStrictEqual(checkHistory(history), []);
  strictEqual(await judgeByPorcupine(history), null);
});

test("faults: both judges reject a lost write", async () => {
  const history = soundHistory();
  const left = finalEntries(history).filter((entry) => entry.seq !== 7);
  const renumbered = left.map((entry, index) => ({ ...entry, seq: index + 1 }));
  await bothReject(withFinal(history, renumbered), /was acknowledged at 7/);
});

test("faults: both judges reject a lost tail", async () => {
  const history = soundHistory();
  await bothReject(withFinal(history, finalEntries(history).slice(0, 9)), /acknowledged at 10/);
});

test("faults: both judges reject a duplicate", async () => {
  const history = soundHistory();
  const entries = finalEntries(history);
  const [first] = entries;
  ok(first !== undefined);
  await bothReject(withFinal(history, [...entries, { ...first, seq: 11 }]), /stands at 1 and/);
});

test("faults: both judges reject a stale read", async () => {
  const history = soundHistory();
  history.looks.push(look("read", finalEntries(history).slice(0, 8), [150, 160]));
  await bothReject(history, /a read missed/);
});

test("faults: both judges reject an order against real time", async () => {
  const history = soundHistory();
  const [first, second] = [post(1, [40, 45]), post(2, [20, 30])];
  history.posts.splice(0, 2, first, second);
  await bothReject(history, /was asked after seq 2 had been answered/);
});

test("faults: both judges reject an entry that nobody posted", async () => {
  const history = soundHistory();
  const stranger = { seq: 11, key: "f".repeat(32), sender: "x", body: "x" };
  await bothReject(withFinal(history, [...finalEntries(history), stranger]), /nobody's post/);
});

test("faults: both judges reject a peek at something that is not there later", async () => {
  const history = soundHistory();
  const ghost = { seq: 4, key: "e".repeat(32), sender: "x", body: "x" };
  history.looks.push(look("peek", [ghost], [60, 70]));
  await bothReject(history, /a peek showed e+ at 4/);
});
