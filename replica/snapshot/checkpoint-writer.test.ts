// Whole lives of a shard's state: many checkpoints, merges of several levels, restarts, sync.
import assert from "node:assert/strict";
import { test } from "node:test";
import { checksumZero, opFrom, seqFrom } from "#replica/base/brands.ts";
import { decodeEntries } from "#replica/wire/entry.ts";
import { readResult, resultCodes } from "#replica/wire/operation.ts";
import { manifestOf, MemoryShard, sha256 } from "#test/support/memory-shard.ts";
import { createRoom, post, prepareOf, requestOf, uuidv7 } from "#test/support/prepares.ts";
import { CheckpointWriter } from "./checkpoint-writer.ts";
import { decodeManifest, encodeManifest, liveSegmentIds, manifestSegmentId } from "./manifest.ts";
import { isCellRow, roomRowBytes } from "./port.ts";
import { Restorer } from "./restorer.ts";
import { SegmentHead } from "./segment-index.ts";
import { SyncSession } from "./sync-session.ts";

const startMs = 1_800_000_000_000;
const genesis = {
  slots: { first: 0, count: 4096, epoch: 1 },
  keys: { windowHours: 1, max: 100_000 },
  roomsMax: 1000,
  seed: Uint8Array.from({ length: 16 }, (_, i) => 7 * i),
};
const memory = { cacheBytes: 0, chunkBytes: 32 * 1024 };

/** Commits one prepare of a deterministic load; returns its replies. */
function commit(shard: MemoryShard, bodyBytes = 300): readonly Uint8Array[] {
  const op = shard.machine.op + 1;
  const operations = op % 50 === 1 ? [createRoom(`room-${op}`)] : [];
  for (let i = 0; i < 5; i += 1) {
    const room = `room-${1 + 50 * ((op * (i + 1)) % Math.ceil(op / 50))}`;
    const key = uuidv7(startMs + op * 1000 + i, op * 10 + i);
    operations.push(post({ room, sender: "ann", key, body: `${op}-${i}`.repeat(bodyBytes / 6) }));
  }
  return shard.commit(prepareOf(op, (startMs + op * 1000) * 1000, [requestOf(operations)]));
}

function countEntries(shard: MemoryShard): number {
  let total = 0;
  for (let first = 1; first <= shard.machine.op; first += 50) {
    const name = { tenant: "t", room: `room-${first}` };
    for (let seq = 0; ; ) {
      const { entries } = shard.read(name, { kind: "after", seq: seqFrom(seq), limit: 200 });
      const decoded = decodeEntries(entries, 200);
      assert.ok(decoded);
      decoded.forEach((entry, i) => {
        assert.equal(entry.seq, seq + 1 + i);
      });
      if (decoded.length === 0) break;
      seq += decoded.length;
    }
    const back = shard.read(name, { kind: "before", seq: seqFrom(1e9), limit: 50 });
    const last = decodeEntries(back.entries, 50);
    assert.ok(last && back.answer.code === "ok");
    assert.equal(last.at(-1)?.seq ?? 0, back.answer.head);
    total += back.answer.head;
  }
  return total;
}

test("snapshot: hundreds of checkpoints merge into few segments and lose nothing", () => {
  const shard = new MemoryShard(genesis, memory);
  const slow = new MemoryShard(genesis, { cacheBytes: 1e9 }, 500);
  let levels = 0;
  for (let checkpoint = 0; checkpoint < 150; checkpoint += 1) {
    for (let i = 0; i < 4; i += 1) assert.deepEqual(commit(shard), commit(slow));
    shard.checkpoint(Uint8Array.of(checkpoint));
    slow.checkpoint(Uint8Array.of(checkpoint));
    // One replica merges at once, the other only when the result is due.
    if (checkpoint % 3 === 0) shard.mergeAll();
    assert.equal(shard.root, slow.root);
    const { segments } = manifestOf(shard.manifest);
    assert.ok(segments.length <= 40, `${segments.length} segments`);
    levels = Math.max(levels, ...segments.map((segment) => segment.level));
    if (checkpoint % 20 === 0) shard.restart();
  }
  assert.ok(levels >= 2, "two levels of merges were reached");
  assert.equal(countEntries(shard), 150 * 4 * 5);
  assert.equal(countEntries(slow), 150 * 4 * 5);
  shard.restart();
  assert.deepEqual(shard.sessions, Uint8Array.of(149));
  assert.equal(shard.machine.keysCount, slow.machine.keysCount);
  assert.equal(countEntries(shard), 150 * 4 * 5);
  const live = liveSegmentIds(manifestOf(shard.manifest));
  for (const id of live.slice(1)) assert.ok(shard.disk.has(id), id);
});

test("snapshot: the root of a fixed history is the same on every Node and every machine", () => {
  const shard = new MemoryShard(genesis, memory);
  for (let checkpoint = 0; checkpoint < 20; checkpoint += 1) {
    for (let i = 0; i < 4; i += 1) commit(shard);
    shard.checkpoint(Uint8Array.of(checkpoint));
  }
  // Changes only with the formats: then the version of manifest or machine changes too.
  assert.equal(shard.root, "0b28639baf1dc4a5795c8b8371caf6962e3ca9af6b7d0cbf13b5b32971d28f7f");
});

test("snapshot: what a merge drops are keys that nobody could use again", () => {
  const shard = new MemoryShard(genesis, memory);
  for (let checkpoint = 0; checkpoint < 40; checkpoint += 1) {
    for (let i = 0; i < 200; i += 1) commit(shard, 6);
    shard.checkpoint();
  }
  // An hour is 3600 prepares of 5 keys; 8000 were committed; generations add at most 17.5 minutes.
  const kept = shard.machine.keysCount;
  assert.ok(kept >= 18_000 && kept <= 24_000, `${kept} keys`);
  shard.restart();
  assert.equal(shard.machine.keysCount, kept);
  const [reply] = commit(shard, 6);
  assert.ok(reply);
});

test("snapshot: a retried key whose entry is only on disk answers its first seq", () => {
  const shard = new MemoryShard(genesis, memory);
  for (let i = 0; i < 60; i += 1) commit(shard);
  const before = countEntries(shard);
  shard.checkpoint();
  shard.restart();
  const key = uuidv7(startMs + 7 * 1000 + 2, 72);
  const retry = post({ room: "room-1", sender: "ann", key, body: "7-2".repeat(50) });
  const prepare = prepareOf(61, (startMs + 100_000) * 1000, [requestOf([retry])]);
  assert.equal(shard.machine.needs(prepare).length, 1);
  const [reply] = shard.commit(prepare);
  assert.ok(reply);
  const view = new DataView(reply.buffer);
  assert.equal(view.getUint16(0, true), resultCodes.ok);
  assert.equal(view.getUint8(2), 1);
  assert.equal(countEntries(shard), before);
});

test("snapshot: two checkpoints may be frozen before the first is durable", () => {
  const shard = new MemoryShard(genesis, memory);
  const twin = new MemoryShard(genesis, memory);
  for (let i = 0; i < 10; i += 1) commit(shard);
  shard.freeze(Uint8Array.of(1));
  for (let i = 0; i < 10; i += 1) commit(shard);
  shard.freeze(Uint8Array.of(2));
  for (let i = 0; i < 10; i += 1) commit(shard);
  shard.writeCheckpoint();
  shard.writeCheckpoint();
  for (let i = 0; i < 10; i += 1) commit(twin);
  twin.checkpoint(Uint8Array.of(1));
  for (let i = 0; i < 10; i += 1) commit(twin);
  twin.checkpoint(Uint8Array.of(2));
  assert.equal(shard.root, twin.root);
  assert.equal(countEntries(shard), 150);
});

test("snapshot: a restore names the damaged block and goes on when it was repaired", () => {
  const shard = new MemoryShard(genesis, memory);
  for (let i = 0; i < 100; i += 1) commit(shard);
  shard.checkpoint();
  const manifest = manifestOf(shard.manifest);
  const target = new MemoryShard(genesis, memory);
  const restorer = new Restorer({ hash: sha256, manifest, sink: target.machine });
  let damages = 0;
  for (let step = restorer.next(); step.kind !== "done"; step = restorer.next()) {
    if (step.kind !== "load") continue;
    const blocks: (Uint8Array | null)[] = shard.load(step.addresses);
    const broken = blocks.map((b, i) => (i === 0 && b ? Uint8Array.from(b, (x) => x ^ 1) : b));
    const found = restorer.give(broken);
    assert.deepEqual(
      found.map((damage) => damage.address),
      step.addresses.slice(0, 1),
    );
    assert.equal(restorer.give([null, ...blocks.slice(1)]).length, 1);
    damages += 1;
    assert.deepEqual(restorer.give(blocks), []);
  }
  assert.ok(damages >= 4);
  assert.equal(target.machine.op, 100);
});

function descriptorOf(shard: MemoryShard) {
  return {
    id: checksumZero,
    parentId: checksumZero,
    op: opFrom(manifestOf(shard.manifest).op),
    opChecksum: checksumZero,
    root: shard.root,
    manifestBytes: shard.manifest.length,
  };
}

/** Fetches everything from `source` with loss and corruption; returns blocks transferred. */
function sync(source: MemoryShard, into: MemoryShard): number {
  const target = descriptorOf(source);
  const local = manifestOf(into.manifest);
  const session = new SyncSession({ hash: sha256, target, local });
  let turn = 0;
  let transferred = 0;
  while (!session.complete) {
    const wants = session.wants(5);
    if (wants.length === 0) session.forgetAsked();
    for (const { segment, block } of wants) {
      turn += 1;
      if (turn % 7 === 0) continue;
      const bytes = segment === "" ? source.manifest : source.disk.get(segment)?.[block];
      assert.ok(bytes);
      const wrong = Uint8Array.from(bytes);
      wrong[wrong.length >> 1] = (wrong[wrong.length >> 1] ?? 0) ^ 4;
      if (turn % 5 === 0) assert.equal(session.receive(segment, block, wrong), "bad");
      else assert.equal(session.receive(segment, block, bytes), "ok");
      transferred += 1;
      if (turn % 5 !== 0 && transferred % 3 === 0) {
        assert.equal(session.receive(segment, block, bytes), "unwanted");
      }
    }
    for (const write of session.takeWrites()) {
      if (write.id !== manifestSegmentId(target.op)) into.disk.set(write.id, write.blocks);
      session.written(write.id);
    }
  }
  into.manifest = source.manifest;
  into.root = source.root;
  into.restore();
  return transferred;
}

test("snapshot: an empty and a late replica sync, the late one only what it lacks", () => {
  const source = new MemoryShard(genesis, memory);
  const late = new MemoryShard(genesis, memory);
  for (let checkpoint = 0; checkpoint < 30; checkpoint += 1) {
    for (let i = 0; i < 20; i += 1) {
      const replies = commit(source);
      if (checkpoint < 28) assert.deepEqual(commit(late), replies);
    }
    source.checkpoint();
    if (checkpoint < 28) late.checkpoint();
  }
  const empty = new MemoryShard(genesis, memory);
  const full = sync(source, empty);
  const partial = sync(source, late);
  assert.ok(partial * 3 < full, `${partial} of ${full} blocks`);
  for (const replica of [empty, late]) {
    assert.equal(countEntries(replica), replica.machine.op * 5);
    assert.deepEqual(commit(replica), commit(source));
    replica.checkpoint();
    source.checkpoint();
    assert.equal(replica.root, source.root);
    // The next replica follows from here.
    if (replica === empty) sync(source, late);
  }
});

test("snapshot: a manifest is canonical and hostile bytes get a reason", () => {
  const shard = new MemoryShard(genesis, memory);
  for (let checkpoint = 0; checkpoint < 12; checkpoint += 1) {
    commit(shard);
    shard.checkpoint();
  }
  const manifest = manifestOf(shard.manifest);
  assert.ok(manifest.merges.length > 0 || manifest.segments.some((s) => s.level > 0));
  assert.deepEqual(encodeManifest(manifest), shard.manifest);
  for (let at = 0; at < shard.manifest.length; at += 1) {
    assert.equal(decodeManifest(shard.manifest.subarray(0, at)).ok, false);
    const wrong = Uint8Array.from(shard.manifest);
    wrong[at] = (wrong[at] ?? 0) ^ 0x80;
    const decoded = decodeManifest(wrong);
    if (decoded.ok) assert.deepEqual(encodeManifest(decoded.value), wrong);
  }
});

test("snapshot: a checkpoint costs what changed, not what is there", () => {
  const shard = new MemoryShard({ ...genesis, roomsMax: 100_000 }, { cacheBytes: 0 });
  let op = 0;
  for (let first = 0; first < 20_000; first += 1000) {
    op += 1;
    const rooms = Array.from({ length: 1000 }, (_, i) => createRoom(`r${first + i}`));
    shard.commit(prepareOf(op, (startMs + op) * 1000, [requestOf(rooms)]));
  }
  shard.checkpoint();
  shard.traffic.bytesWritten = 0;
  op += 1;
  const one = post({ room: "r5", sender: "ann", key: uuidv7(startMs, 1), body: "hello" });
  shard.commit(prepareOf(op, (startMs + op) * 1000, [requestOf([one])]));
  shard.checkpoint();
  assert.ok(shard.traffic.bytesWritten < 1000, `${shard.traffic.bytesWritten} bytes`);
});

test("snapshot: the writer says which digest a block of a live segment must have", () => {
  const shard = new MemoryShard(genesis, memory);
  commit(shard);
  shard.checkpoint();
  const [segment] = manifestOf(shard.manifest).segments;
  assert.ok(segment && shard.writer instanceof CheckpointWriter);
  for (let block = 0; block < segment.blocksCount; block += 1) {
    const [bytes] = shard.load([{ segment: segment.id, block }]);
    assert.ok(bytes);
    assert.equal(shard.writer.blockDigest({ segment: segment.id, block }), sha256(bytes));
  }
  assert.equal(shard.writer.blockDigest({ segment: "h9-9-9", block: 0 }), null);
});

test("snapshot: a delta of the largest messages is cut into segments that storage can hold", () => {
  const shard = new MemoryShard(genesis, memory);
  shard.commit(prepareOf(1, startMs * 1000, [requestOf([createRoom("r")])]));
  for (let op = 2; op <= 401; op += 1) {
    const messages = Array.from({ length: 5 }, (_, i) => {
      const key = uuidv7(startMs, op * 5 + i);
      return post({ room: "r", sender: "ann", key, body: "z".repeat(16_384) });
    });
    shard.commit(prepareOf(op, startMs * 1000 + op, [requestOf(messages)]));
  }
  shard.checkpoint();
  const { segments } = manifestOf(shard.manifest);
  assert.ok(segments.length >= 2);
  for (const { blocksCount, bytes } of segments) {
    assert.ok(blocksCount <= 1000 && bytes <= 17 * 1024 * 1024, `${blocksCount}, ${bytes}`);
  }
  shard.restart();
  const read = shard.read(
    { tenant: "t", room: "r" },
    { kind: "before", seq: seqFrom(9e9), limit: 3 },
  );
  assert.deepEqual(
    decodeEntries(read.entries, 9)?.map((entry) => entry.seq),
    [1998, 1999, 2000],
  );
});

test("snapshot: a merged group holds each cell once, with its newest value", () => {
  const shard = new MemoryShard(genesis, memory);
  const rooms = ["a", "b", "c"];
  let op = 0;
  const say = (operations: Parameters<typeof requestOf>[0]): void => {
    op += 1;
    const timeUs = (startMs + op * 1000) * 1000;
    for (const reply of shard.commit(prepareOf(op, timeUs, [requestOf(operations)]))) {
      assert.equal(readResult(reply, 0)?.code, "ok");
    }
  };
  for (const room of rooms) say([createRoom(room)]);
  for (let checkpoint = 1; checkpoint <= 64; checkpoint += 1) {
    for (const [i, room] of rooms.entries()) {
      const key = uuidv7(startMs + op * 1000, 2 * (op * 10 + i));
      const mark = uuidv7(startMs + op * 1000, 2 * (op * 10 + i) + 1);
      say([post({ room, sender: "ann", key, body: "said" })]);
      const marker = { room, sender: "ann", key: mark, body: "", type: "marker" as const };
      say([post({ ...marker, parent: 2 * checkpoint - 1 })]);
    }
    shard.checkpoint();
    shard.mergeAll();
  }
  let rows = 0;
  const { segments } = manifestOf(shard.manifest);
  for (const { id, level } of segments) {
    const blocks = shard.disk.get(id);
    assert.ok(blocks);
    const head = new SegmentHead(blocks.at(-1) ?? new Uint8Array(0));
    const { first, end } = head.range("rooms");
    for (const block of level === 0 ? [] : blocks.slice(first, end)) {
      const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
      for (let at = 0; at < block.length; at += roomRowBytes(view, at)) {
        if (isCellRow(view, at)) rows += 1;
      }
    }
  }
  const groups = new Set(segments.filter(({ level }) => level > 0).map(({ opLast }) => opLast));
  // Three markers a group, and in the first how many rooms there are.
  assert.equal(rows, 3 * groups.size + 1);
  assert.ok(groups.size >= 2);
  shard.restart();
  for (const room of rooms) {
    assert.equal(shard.machine.standing({ tenant: "t", room }, "ann")?.marker, 127);
  }
});
