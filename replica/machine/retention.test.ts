// Redaction and retention down to the bytes on disk: what is gone is gone, everything else and its
// proofs stay, and replicas that work at another pace or restart make the same segments.
import assert from "node:assert/strict";
import { hash as digestOf } from "node:crypto";
import { test } from "node:test";
import { seqFrom } from "#replica/base/brands.ts";
import { sha256Into } from "#replica/crypto/hash.ts";
import { decodeEntry, splitEntries } from "#replica/wire/entry.ts";
import { readResult } from "#replica/wire/operation.ts";
import { manifestOf, MemoryShard } from "#test/support/memory-shard.ts";
import type { Operation } from "#test/support/prepares.ts";
import { createRoom, post, prepareOf, requestOf, retain } from "#test/support/prepares.ts";
import { trim, uuidv7 } from "#test/support/prepares.ts";

const startMs = 1_800_000_000_000;
const hourMs = 3_600_000;
const genesis = {
  version: 2,
  slots: { first: 0, count: 4096, epoch: 1 },
  keys: { windowHours: 1, max: 100_000 },
  roomsMax: 100,
  seed: Uint8Array.from({ length: 16 }, (_, i) => i),
};
const sha = (bytes: Uint8Array): Uint8Array => new Uint8Array(digestOf("sha256", bytes, "buffer"));
const options = {
  cacheBytes: 0,
  chunkBytes: 32 * 1024,
  hash: sha,
  proofs: sha256Into,
};

/** Two replicas: one works and restarts at other moments than the other. */
class Pair {
  readonly one = new MemoryShard(genesis, options);
  readonly other = new MemoryShard(genesis, { ...options, cacheBytes: 1e9 }, 700);
  timeMs = startMs;
  private tail = 0;
  private checkpoints = 0;

  say(...operations: readonly Operation[]): readonly string[] {
    this.timeMs += 1;
    const prepare = prepareOf(this.one.machine.op + 1, this.timeMs * 1000, [requestOf(operations)]);
    const [reply] = this.one.commit(prepare);
    assert.deepEqual(this.other.commit(prepare), [reply]);
    return operations.map((_, i) => readResult(reply ?? new Uint8Array(0), i)?.code ?? "");
  }

  post(body: string, more: Partial<Parameters<typeof post>[0]> = {}): Operation {
    this.tail += 1;
    const key = uuidv7(this.timeMs, this.tail);
    return post({ room: "a", sender: "ann", key, body, ...more });
  }

  checkpoint(): void {
    this.say(this.post("filler", { room: "b" }));
    this.checkpoints += 1;
    for (const shard of [this.one, this.other]) {
      shard.hashTrees();
      shard.freeze();
      shard.hashTrees();
      shard.writeCheckpoint();
    }
    if (this.checkpoints % 3 === 0) this.one.mergeAll();
    assert.equal(this.one.root, this.other.root, `checkpoint ${this.checkpoints}`);
    if (this.checkpoints % 5 === 0) this.other.restart();
    if (this.checkpoints % 7 === 0) this.one.restart();
  }

  /** A whole sweep and what it waits for. */
  sweep(): void {
    for (let i = 0; i < 24; i += 1) this.checkpoint();
  }
}

/** True when some live block holds this text. */
function onDisk(shard: MemoryShard, text: string): boolean {
  return manifestOf(shard.manifest).segments.some(({ id }) =>
    shard.disk.get(id)?.some((block) => Buffer.from(block).includes(text)),
  );
}

function read(shard: MemoryShard, after: number, room = "a") {
  const range = { kind: "after" as const, seq: seqFrom(after), limit: 200 };
  const { answer, entries } = shard.read({ tenant: "t", room }, range);
  assert.equal(answer.code, "ok");
  const floor = answer.code === "ok" ? answer.floor : 0;
  const decoded = (splitEntries(entries, 200) ?? []).map((bytes) => decodeEntry(bytes));
  return { floor, entries: decoded.map((one) => (one.ok ? one.value : assert.fail("entry"))) };
}

/** Root of the room's tree, from what is stored. */
function proveRoot(shard: MemoryShard, size: number): Uint8Array {
  const loaded: { address: { segment: string; block: number }; bytes: Uint8Array }[] = [];
  for (let round = 0; round < 20; round += 1) {
    const prover = shard.machine.prover(loaded);
    assert.ok(prover);
    const frontier = prover.frontier(0, size);
    const step = prover.root(0);
    if (step.kind !== "load") return frontier;
    shard.load(step.addresses).forEach((bytes, i) => {
      const address = step.addresses[i];
      if (address !== undefined) loaded.push({ address, bytes });
    });
  }
  return assert.fail("a proof ends after a few loads");
}

function start(): Pair {
  const pair = new Pair();
  pair.say(createRoom("a", "t", "ann"), createRoom("b", "t", "ann"));
  return pair;
}

test("retention: a redacted body leaves the disk, its leaf and its neighbours' proofs stay", () => {
  const pair = start();
  for (let i = 1; i <= 300; i += 1) pair.say(pair.post(i === 270 ? "the secret text" : `m${i}`));
  for (let i = 0; i < 12; i += 1) pair.checkpoint();
  assert.ok(onDisk(pair.one, "the secret text"));
  const before = proveRoot(pair.one, 299);
  assert.deepEqual(pair.say(pair.post("", { type: "redact", parent: 270 })), ["ok"]);
  pair.sweep();
  for (const shard of [pair.one, pair.other]) {
    assert.ok(!onDisk(shard, "the secret text"), "gone from every live segment");
    const shown = read(shard, 268).entries;
    assert.deepEqual(
      shown.slice(0, 3).map(({ redacted }) => redacted),
      [false, true, false],
    );
    assert.deepEqual(proveRoot(shard, 299), before, "the tree is what it was");
  }
});

test("retention: what is too old goes on a trim, and proofs of what stays go on", () => {
  const pair = start();
  pair.say(retain({ room: "a", version: 1, ageSeconds: 7200 }));
  for (let i = 1; i <= 600; i += 1) pair.say(pair.post(`old-${i}-text`));
  pair.checkpoint();
  pair.timeMs += 3 * hourMs;
  for (let i = 601; i <= 640; i += 1) pair.say(pair.post(`new-${i}-text`));
  const before = proveRoot(pair.one, 620);
  assert.deepEqual(pair.say(trim("a", 602), trim("a", 700)), ["not_due", "bad_operation"]);
  assert.deepEqual(pair.say(trim("a", 100), trim("a", 100), trim("a", 601)), ["ok", "stale", "ok"]);
  assert.deepEqual(read(pair.one, 0).entries[0]?.seq, 601);
  assert.deepEqual(pair.say(pair.post("late", { type: "react", parent: 600 })), ["gone"]);
  pair.sweep();
  for (const shard of [pair.one, pair.other]) {
    assert.ok(!onDisk(shard, "old-1-text") && !onDisk(shard, "old-600-text"));
    const { merges, sweeps, sweptSegments, sweptBytes } = shard.counts;
    assert.ok(merges > 0 && sweptSegments > 0 && sweeps >= sweptSegments);
    // 512 entries leave nothing, the other 88 of their tile a hash of 32 bytes.
    assert.ok(sweptBytes > 600 * 60, `${sweptBytes} bytes were destroyed`);
    assert.ok(onDisk(shard, "new-601-text"));
    assert.equal(read(shard, 0).floor, 601);
    assert.deepEqual(proveRoot(shard, 620), before, "the tree is what it was");
  }
});

test("retention: a legal hold keeps everything, of a room and of its tenant", () => {
  const pair = start();
  for (let i = 1; i <= 20; i += 1) pair.say(pair.post(`m${i}`));
  pair.timeMs += 2 * hourMs;
  const limits = { ageSeconds: 60, entries: 5 };
  assert.deepEqual(pair.say(trim("a", 5)), ["not_due"]);
  pair.say(retain({ room: "a", version: 1, ...limits, hold: true }));
  assert.deepEqual(pair.say(trim("a", 5)), ["held"]);
  assert.deepEqual(pair.say(pair.post("", { type: "redact", parent: 1 })), ["held"]);
  pair.say(retain({ room: "a", version: 2, ...limits }));
  pair.say(retain({ room: "", version: 1, hold: true }));
  assert.deepEqual(pair.say(trim("a", 5)), ["held"]);
  pair.say(retain({ room: "", version: 2 }));
  assert.deepEqual(pair.say(retain({ room: "", version: 2 }), trim("a", 5)), ["ok", "ok"]);
  assert.deepEqual(pair.say(retain({ room: "", version: 2, entries: 1 })), ["key_mismatch"]);
  assert.deepEqual(pair.say(retain({ room: "", version: 1 })), ["stale"]);
});

test("retention: by entries, but never a key that a retry could still use", () => {
  const pair = start();
  pair.say(retain({ room: "", version: 1, entries: 5 }));
  for (let i = 1; i <= 20; i += 1) pair.say(pair.post(`m${i}`));
  assert.deepEqual(pair.say(trim("a", 10)), ["not_due"]);
  pair.timeMs += hourMs + 5 * 60_000;
  assert.deepEqual(pair.say(trim("a", 17)), ["not_due"]);
  assert.deepEqual(pair.say(trim("a", 16), trim("x", 2)), ["ok", "no_room"]);
  pair.checkpoint();
  pair.one.restart();
  assert.equal(read(pair.one, 0).floor, 16);
});

test("retention: by bytes, as counted from when the limit was set, through restarts", () => {
  const pair = start();
  for (let i = 1; i <= 10; i += 1) pair.say(pair.post("x".repeat(100)));
  pair.say(retain({ room: "a", version: 1, bytes: 8000 }));
  // 48 + 16 + 3 of "ann" + 933 = 1,000 bytes an entry: a mark at each.
  for (let i = 11; i <= 30; i += 1) {
    pair.say(pair.post("y".repeat(933)));
    if (i % 5 === 0) pair.checkpoint();
  }
  pair.timeMs += 2 * hourMs;
  assert.deepEqual(pair.say(trim("a", 24)), ["not_due"], "7,000 bytes would be left");
  for (const { machine } of [pair.one, pair.other])
    assert.equal(machine.retention(0)?.bytesFloor, 23);
  assert.deepEqual(pair.say(trim("a", 23)), ["ok"]);
  pair.checkpoint();
  pair.one.restart();
  pair.say(
    retain({ room: "a", version: 2, bytes: 3000 }),
    retain({ room: "", version: 1, bytes: 1 }),
  );
  assert.deepEqual(pair.say(trim("a", 29)), ["not_due"]);
  assert.deepEqual(pair.say(trim("a", 28)), ["ok"]);
  assert.deepEqual(read(pair.one, 0).floor, 28);
});

test("retention: what no count has seen weighs as little as an entry can", () => {
  const pair = start();
  for (let i = 1; i <= 100; i += 1) pair.say(pair.post("x".repeat(100)));
  pair.timeMs += 2 * hourMs;
  pair.say(retain({ room: "a", version: 1, bytes: 50 * 65 }));
  assert.deepEqual(pair.say(trim("a", 52), trim("a", 51)), ["not_due", "ok"]);
  pair.say(pair.post("z".repeat(933)));
  assert.deepEqual(pair.say(trim("a", 67), trim("a", 66)), ["not_due", "ok"], "1,000 are counted");
});

test("retention: a checkpoint has the floors of its own op, however late it is written", () => {
  const pair = start();
  pair.say(retain({ room: "", version: 1, entries: 5 }));
  for (let i = 1; i <= 20; i += 1) {
    pair.say(pair.post(`a${i}`), pair.post(`b${i}`, { room: "b" }));
  }
  pair.timeMs += 2 * hourMs;
  assert.deepEqual(pair.say(trim("a", 4)), ["ok"]);
  for (const shard of [pair.one, pair.other]) {
    shard.freeze();
    shard.hashTrees();
  }
  pair.one.writeCheckpoint();
  assert.deepEqual(pair.say(trim("a", 9), trim("b", 7)), ["ok", "ok"]);
  pair.other.writeCheckpoint();
  assert.equal(pair.one.root, pair.other.root);
  pair.other.restart();
  assert.deepEqual(
    ["a", "b"].map((room) => read(pair.other, 0, room).floor),
    [4, 1],
  );
});
