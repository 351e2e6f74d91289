// What the model does not see of roles, threads and redactions: facts, slots, standing, limits.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { opFrom, seqFrom } from "#replica/base/brands.ts";
import { slotOfRoom } from "#replica/base/slots.ts";
import { utf8From } from "#replica/base/text.ts";
import { decodeEntries, encodeEntry } from "#replica/wire/entry.ts";
import { readResult } from "#replica/wire/operation.ts";
import type { OperationResult } from "#replica/wire/operation.ts";
import type { Operation } from "#test/support/prepares.ts";
import { configure, createDm, createRoom, post, prepareOf } from "#test/support/prepares.ts";
import { requestOf, uuidv7 } from "#test/support/prepares.ts";
import { ChatMachine } from "./chat-machine.ts";
import { editsMax } from "./rules.ts";

const startMs = 1_800_000_000_000;
const genesis = {
  slots: { first: 0, count: 4096, epoch: 1 },
  keys: { windowHours: 24, max: 1_000_000 },
  roomsMax: 10_000,
  seed: new Uint8Array(16).fill(9),
};
const sha256 = (bytes: Uint8Array): Uint8Array =>
  Uint8Array.from(createHash("sha256").update(bytes).digest());

class Shard {
  readonly machine = new ChatMachine(genesis, { hash: sha256 });
  private tail = 0;

  commit(...operations: Operation[]): (OperationResult | null)[] {
    const op = this.machine.op + 1;
    const prepare = prepareOf(op, startMs * 1000 + op, [requestOf(operations)]);
    const [reply] = this.machine.apply(prepare, []);
    assert.ok(reply);
    return operations.map((_, index) => readResult(reply, index));
  }

  say(room: string, sender: string, more: Partial<Parameters<typeof post>[0]> = {}): Operation {
    this.tail += 1;
    return post({ room, sender, key: uuidv7(startMs, this.tail), body: "hello", ...more });
  }

  one(operation: Operation): string | undefined {
    return this.commit(operation)[0]?.code;
  }
}

test("machine: a redacted message loses body and salt in reads and facts, at once", () => {
  const shard = new Shard();
  const lobby = { tenant: "t", room: "lobby" };
  shard.commit(createRoom("lobby", "t", "ann"), shard.say("lobby", "bob", { body: "secret" }));
  shard.machine.watch(lobby);
  const edit = shard.say("lobby", "bob", { type: "edit", parent: 1, body: "secret too" });
  shard.commit(edit, shard.say("lobby", "ann", { type: "redact", parent: 1, body: "" }));
  const [fact] = shard.machine.drainFacts();
  const read = shard.machine.read(lobby, { kind: "after", seq: seqFrom(0), limit: 9 });
  assert.ok(fact && read.kind === "answer");
  for (const list of [fact.entries, read.entries]) {
    assert.ok(!Buffer.from(list).includes("secret"));
  }
  const [first] = decodeEntries(read.entries, 9) ?? [];
  const digest = sha256(Uint8Array.of(...new Uint8Array(16).fill(7), ...utf8From("secret")));
  assert.ok(first?.redacted);
  assert.deepEqual(first.body, digest);
  assert.equal(encodeEntry(first).length, 48 + 3 + 32);
});

test("machine: a thread is watched by its name and lies in the slot of its room", () => {
  const shard = new Shard();
  const thread = { tenant: "t", room: "lobby/1" };
  assert.equal(slotOfRoom("t", "lobby/1"), slotOfRoom("t", "lobby"));
  assert.equal(shard.machine.watch(thread).code, "no_room");
  shard.commit(createRoom("lobby"), shard.say("lobby", "bob"));
  const [made] = shard.commit(shard.say("lobby/1", "ann"));
  assert.deepEqual([made?.code, made?.seq], ["ok", 1]);
  const [fact] = shard.machine.drainFacts();
  assert.deepEqual([fact?.name, fact?.count], [thread, 1]);
  assert.deepEqual(shard.machine.room(thread), { code: "ok", epoch: 1, head: 1, floor: 1 });
  const lobby = shard.machine.room({ tenant: "t", room: "lobby" });
  assert.equal(lobby.code === "ok" && lobby.head, 2, "the room says that a thread began");
});

test("machine: standing says role, sanctions, marker, and who may read", () => {
  const shard = new Shard();
  const lobby = { tenant: "t", room: "lobby" };
  assert.equal(shard.machine.standing(lobby, "ann"), null);
  const rule = (type: "member" | "ban" | "mute" | "settings", body: string) =>
    shard.say("lobby", "ann", { type, body });
  const settings = '{"closed":true,"readonly":false,"fromJoin":true,"privateMarkers":false}';
  shard.commit(createRoom("lobby", "t", "ann"), rule("settings", settings));
  shard.commit(
    rule("member", '{"user":"bob","role":"reader"}'),
    rule("ban", `{"user":"eve","until":${Number.MAX_SAFE_INTEGER}}`),
    shard.say("lobby", "bob", { type: "marker", parent: 2, body: "" }),
  );
  const bob = shard.machine.standing(lobby, "bob");
  assert.deepEqual([bob?.role, bob?.marker, bob?.mayRead], ["reader", 2, true]);
  assert.deepEqual(bob?.viewer, { user: "bob", staff: false, fromSeq: 2 });
  assert.equal(shard.machine.standing(lobby, "ann")?.viewer.staff, true);
  const eve = shard.machine.standing(lobby, "eve");
  assert.deepEqual([eve?.mayRead, eve?.bannedUntilUs], [false, Number.MAX_SAFE_INTEGER]);
  assert.equal(shard.one(shard.say("lobby", "eve")), "banned");
  assert.equal(shard.one(shard.say("lobby", "bob")), "denied");
  assert.equal(shard.one(shard.say("lobby", "bob", { authority: true })), "ok");
});

test("machine: a message takes so many edits and no more", () => {
  const shard = new Shard();
  shard.commit(createRoom("lobby"), shard.say("lobby", "bob"));
  const edit = () => shard.say("lobby", "bob", { type: "edit", parent: 1 });
  for (let i = 0; i < editsMax; i += 1) assert.equal(shard.one(edit()), "ok");
  assert.equal(shard.one(edit()), "quota");
  assert.equal(shard.one(shard.say("lobby", "bob", { type: "redact", parent: 1 })), "ok");
  const read = shard.machine.read(
    { tenant: "t", room: "lobby" },
    { kind: "after", seq: seqFrom(0), limit: 200 },
  );
  assert.ok(read.kind === "answer");
  const shown = decodeEntries(read.entries, 200)?.filter((entry) => entry.redacted);
  assert.equal(shown?.length, editsMax + 1);
});

test("machine: a room for two is the same from both sides and takes nobody else", () => {
  const shard = new Shard();
  assert.equal(shard.one(createDm("dm:1", ["ann", "bob"])), "ok");
  assert.equal(shard.one(createDm("dm:1", ["ann", "bob"])), "room_exists");
  assert.equal(shard.one(createDm("dm:1", ["ann", "cat"])), "key_mismatch");
  assert.equal(shard.one(createRoom("dm:1")), "key_mismatch");
  const join = { type: "member" as const, body: '{"user":"cat","role":"member"}' };
  assert.equal(shard.one(shard.say("dm:1", "ann", join)), "bad_operation");
  assert.equal(shard.one(shard.say("dm:1", "ann", { ...join, authority: true })), "bad_operation");
  assert.deepEqual(
    [shard.one(shard.say("dm:1", "ann")), shard.one(shard.say("dm:1", "cat"))],
    ["ok", "denied"],
  );
});

test("machine: a refused second says when the next begins, and that one is open", () => {
  const shard = new Shard();
  shard.commit(createRoom("lobby"), configure({ room: "", version: 1, entriesPerSecond: 2 }));
  const posts = () => [1, 2, 3].map(() => shard.say("lobby", "bob"));
  const results = shard.commit(...posts());
  assert.deepEqual(
    results.map((result) => result?.code),
    ["ok", "ok", "rate_limited"],
  );
  assert.equal(results[2]?.timeUs, startMs * 1000 + 1_000_000);
  const later = prepareOf(shard.machine.op + 1, startMs * 1000 + 1_000_000, [requestOf(posts())]);
  const [reply] = shard.machine.apply(later, []);
  assert.equal(readResult(reply ?? new Uint8Array(0), 0)?.code, "ok");
  shard.machine.freeze(opFrom(shard.machine.op));
});
