// What the model test does not see: facts, reads, slots, malformed operations, bounded memory.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { opFrom, seqFrom } from "#replica/base/brands.ts";
import { slotOfRoom } from "#replica/base/slots.ts";
import { decodeEntries } from "#replica/wire/entry.ts";
import { readResult } from "#replica/wire/operation.ts";
import type { Operation } from "#test/support/prepares.ts";
import {
  createRoom,
  encodeOperations,
  post,
  prepareOf,
  requestOf,
  requestOfBody,
  uuidv7,
} from "#test/support/prepares.ts";
import { ChatMachine } from "./chat-machine.ts";
import type { MachineGenesis } from "./port.ts";

const startMs = 1_800_000_000_000;
const genesis: MachineGenesis = {
  slots: { first: 0, count: 4096, epoch: 3 },
  keys: { windowHours: 24, max: 1_000_000 },
  roomsMax: 10_000,
  seed: new Uint8Array(16).fill(9),
};

function commit(machine: ChatMachine, ...operations: Operation[]): (string | undefined)[] {
  const op = machine.op + 1;
  const prepare = prepareOf(op, startMs * 1000 + op, [requestOf(operations)]);
  const [reply] = machine.apply(
    prepare,
    machine.needs(prepare).map(() => new Uint8Array(0)),
  );
  assert.ok(reply);
  return operations.map((_, index) => readResult(reply, index)?.code);
}

function say(room: string, tail: number, body = `message ${tail}`): Operation {
  return post({ room, sender: "ann", key: uuidv7(startMs, tail), body });
}

function bodies(entries: Uint8Array): string[] {
  const decoded = decodeEntries(entries, 2000);
  assert.ok(decoded);
  return decoded.map((entry) => new TextDecoder().decode(entry.body));
}

const lobby = { tenant: "t", room: "lobby" };

test("machine: facts come once, by room, in order, for watched rooms only", () => {
  const machine = new ChatMachine(genesis);
  commit(machine, createRoom("lobby"), createRoom("other"), say("lobby", 1));
  assert.deepEqual(machine.drainFacts(), []);
  assert.deepEqual(machine.watch(lobby), { code: "ok", epoch: 1, head: 1, floor: 1 });
  machine.watch(lobby);
  commit(machine, say("lobby", 2), say("other", 3), say("lobby", 4), say("lobby", 2));
  const [fact, ...rest] = machine.drainFacts();
  assert.ok(fact && rest.length === 0);
  assert.deepEqual([fact.name, fact.seqFirst, fact.count], [lobby, 2, 2]);
  assert.deepEqual(bodies(fact.entries), ["message 2", "message 4"]);
  assert.deepEqual(machine.drainFacts(), []);
  machine.unwatch(lobby);
  commit(machine, say("lobby", 5));
  assert.deepEqual(machine.drainFacts(), []);
});

test("machine: a room may be watched before it exists", () => {
  const machine = new ChatMachine(genesis);
  assert.deepEqual(machine.watch(lobby), { code: "no_room" });
  commit(machine, createRoom("lobby"));
  assert.deepEqual(machine.drainFacts(), []);
  commit(machine, say("lobby", 1));
  assert.equal(machine.drainFacts()[0]?.seqFirst, 1);
});

test("machine: many facts of one room come in pieces without a hole", () => {
  const machine = new ChatMachine(genesis);
  commit(machine, createRoom("lobby"));
  machine.watch(lobby);
  for (let i = 0; i < 60; i += 1) {
    commit(machine, say("lobby", i, "x".repeat(16_000)), say("lobby", 1000 + i, ""));
  }
  let next = 1;
  for (const fact of machine.drainFacts()) {
    assert.ok(fact.entries.length <= 192 * 1024);
    assert.equal(fact.seqFirst, next);
    assert.equal(bodies(fact.entries).length, fact.count);
    next += fact.count;
  }
  assert.equal(next, 121);
});

test("machine: reads go forwards and backwards, within limits", () => {
  const machine = new ChatMachine(genesis);
  commit(machine, createRoom("lobby"));
  for (let i = 1; i <= 300; i += 1) commit(machine, say("lobby", i));
  const read = (kind: "after" | "before", seq: number, limit: number): string[] => {
    const step = machine.read(lobby, { kind, seq: seqFrom(seq), limit });
    assert.ok(step.kind === "answer" && step.answer.code === "ok");
    return bodies(step.entries);
  };
  const messages = (first: number, last: number): string[] =>
    Array.from({ length: last - first + 1 }, (_, i) => `message ${first + i}`);
  assert.deepEqual(read("after", 0, 50), messages(1, 50));
  assert.deepEqual(read("after", 290, 50), messages(291, 300));
  assert.deepEqual(read("after", 300, 50), []);
  assert.deepEqual(read("after", 9999, 50), []);
  assert.deepEqual(read("after", 0, 9999), messages(1, 200));
  assert.deepEqual(read("before", 301, 3), messages(298, 300));
  assert.deepEqual(read("before", 9999, 3), messages(298, 300));
  assert.deepEqual(read("before", 3, 50), messages(1, 2));
  assert.deepEqual(read("before", 1, 50), []);
  assert.deepEqual(read("before", 0, 50), []);
  const nowhere = machine.read(
    { tenant: "t", room: "x" },
    { kind: "after", seq: seqFrom(0), limit: 1 },
  );
  assert.ok(nowhere.kind === "answer" && nowhere.answer.code === "no_room");
});

test("machine: an answer is cut by bytes at the far end of its direction", () => {
  const machine = new ChatMachine(genesis);
  commit(machine, createRoom("lobby"));
  for (let i = 1; i <= 30; i += 1) commit(machine, say("lobby", i, `${i} `.padEnd(16_384)));
  const up = machine.read(lobby, { kind: "after", seq: seqFrom(0), limit: 30 });
  const down = machine.read(lobby, { kind: "before", seq: seqFrom(31), limit: 30 });
  assert.ok(up.kind === "answer" && down.kind === "answer");
  const first = bodies(up.entries).map((body) => Number(body));
  const last = bodies(down.entries).map((body) => Number(body));
  assert.deepEqual(first, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  assert.deepEqual(last, [20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30]);
});

test("machine: a slot of another shard is answered moved, for rooms and posts", () => {
  const slot = slotOfRoom("t", "lobby");
  const elsewhere = { ...genesis, slots: { first: slot + 1, count: 4095 - slot, epoch: 1 } };
  const machine = new ChatMachine(elsewhere);
  assert.deepEqual(commit(machine, createRoom("lobby"), say("lobby", 1)), ["moved", "moved"]);
  assert.deepEqual(machine.room(lobby), { code: "moved", slot, shard: "", epoch: 0 });
  assert.equal(machine.watch(lobby).code, "moved");
});

test("machine: malformed operations are answered, each in its place", () => {
  const machine = new ChatMachine(genesis);
  commit(machine, createRoom("lobby"));
  const body = encodeOperations([say("lobby", 1), say("lobby", 2), say("lobby", 3)]);
  body[body.length / 3 + 4] = 77;
  const whole = requestOfBody(body, 3);
  const cut = requestOfBody(body.subarray(0, body.length - 1), 3);
  const short = requestOfBody(new Uint8Array(0), 2);
  const codes = (op: number, request: typeof whole): unknown[] => {
    const [reply] = machine.apply(prepareOf(op, startMs * 1000 + op, [request]), []);
    assert.ok(reply);
    return [0, 1, 2].map((index) => readResult(reply, index)?.code);
  };
  assert.deepEqual(codes(2, whole), ["ok", "bad_operation", "ok"]);
  assert.deepEqual(codes(3, cut), ["ok", "bad_operation", "bad_operation"]);
  assert.deepEqual(codes(4, short), ["bad_operation", "bad_operation", undefined]);
});

test("machine: a registration has an empty reply, a prepare without requests has none", () => {
  const machine = new ChatMachine(genesis);
  const replies = machine.apply(prepareOf(1, 1, [requestOf([]), requestOf([])]), []);
  assert.deepEqual(replies, [new Uint8Array(0), new Uint8Array(0)]);
  assert.deepEqual(machine.apply(prepareOf(2, 2, [], "noop"), []), []);
  assert.throws(() => machine.apply(prepareOf(4, 4, [], "noop"), []), /MCH-01/);
  assert.throws(() => machine.apply(prepareOf(3, 2, [], "noop"), []), /MCH-03/);
});

test("machine: memory of entries is bounded once checkpoints release them", () => {
  const machine = new ChatMachine(genesis, { cacheBytes: 256 * 1024, chunkBytes: 64 * 1024 });
  const everywhere = [{ id: "all", locate: () => 0 }];
  commit(machine, createRoom("lobby"));
  let most = 0;
  for (let i = 1; i <= 2000; i += 1) {
    commit(machine, say("lobby", i, "x".repeat(1000)));
    if (i % 50 === 0) {
      machine.freeze(opFrom(machine.op));
      const delta = machine.frozen(opFrom(machine.op));
      assert.ok(delta.fill("history", new Uint8Array(64 * 1024)) > 50_000);
      machine.release(opFrom(machine.op), everywhere);
      most = Math.max(most, machine.memoryBytes);
    }
  }
  // Rooms, cells, index pages and names have about 2 MB of fixed pages.
  assert.ok(most < 3_000_000, `${most} bytes`);
  const recent = machine.read(lobby, { kind: "before", seq: seqFrom(2001), limit: 20 });
  assert.equal(recent.kind, "answer");
  const old = machine.read(lobby, { kind: "after", seq: seqFrom(0), limit: 20 });
  assert.deepEqual(old, { kind: "load", addresses: [{ segment: "all", block: 0 }] });
});

test("machine: what needs named stays readable although a checkpoint is released meanwhile", () => {
  const machine = new ChatMachine(genesis, { cacheBytes: 0, chunkBytes: 32 * 1024 });
  commit(machine, createRoom("lobby"), say("lobby", 1));
  for (let i = 2; i <= 20; i += 1) commit(machine, say("lobby", i, "x".repeat(8000)));
  machine.freeze(opFrom(machine.op));
  const op = machine.op + 1;
  const retry = prepareOf(op, startMs * 1000 + op, [requestOf([say("lobby", 1)])]);
  assert.deepEqual(machine.needs(retry), []);
  machine.release(opFrom(machine.op), [{ id: "all", locate: () => 0 }]);
  const [reply] = machine.apply(retry, []);
  assert.ok(reply && readResult(reply, 0)?.dup);
  const old = machine.read(lobby, { kind: "after", seq: seqFrom(0), limit: 1 });
  assert.equal(old.kind, "load");
});

test("machine: hostile request bodies are answered, alike on two machines", () => {
  const valid = encodeOperations([createRoom("lobby"), say("lobby", 1), say("lobby", 2)]);
  const change = fc.record({ at: fc.nat(valid.length - 1), value: fc.nat(255) });
  const mutated = fc.array(change, { maxLength: 5 }).map((changes) => {
    const bytes = Uint8Array.from(valid);
    for (const { at, value } of changes) bytes[at] = value;
    return bytes;
  });
  const body = fc.oneof(mutated, mutated, fc.uint8Array({ maxLength: 200 }));
  fc.assert(
    fc.property(fc.array(fc.tuple(body, fc.nat(5)), { maxLength: 6 }), (bodies) => {
      const one = new ChatMachine(genesis);
      const two = new ChatMachine(genesis, { cacheBytes: 0, chunkBytes: 32 * 1024 });
      bodies.forEach(([bytes, count], i) => {
        const prepare = prepareOf(i + 1, startMs * 1000 + i, [requestOfBody(bytes, count)]);
        assert.deepEqual(one.needs(prepare), []);
        const replies = one.apply(prepare, []);
        assert.deepEqual(two.apply(prepare, []), replies);
        assert.equal(replies[0]?.length, 24 * count);
        for (let index = 0; index < count; index += 1) {
          assert.ok(readResult(replies[0] ?? new Uint8Array(0), index));
        }
      });
    }),
    { numRuns: 300 },
  );
});

test("machine: what needs looked up changes no answer, nor with keys used twice in one op", () => {
  const room = fc.constantFrom("lobby", "new", "lobby/1", "nowhere");
  const said = fc
    .record({ room, tail: fc.nat(12), body: fc.constantFrom("a", "b") })
    .map(({ room: name, tail, body }) => say(name, tail, body));
  const operation = fc.oneof(said, said, said, fc.constant(createRoom("new")));
  const requests = fc.array(fc.array(operation, { maxLength: 6 }), { maxLength: 3 });
  const genesisOf = () => {
    const machine = new ChatMachine(genesis);
    commit(machine, createRoom("lobby"), say("lobby", 1), say("lobby", 2));
    return machine;
  };
  fc.assert(
    fc.property(fc.array(requests, { maxLength: 5 }), (ops) => {
      const looks = genesisOf();
      looks.freeze(opFrom(looks.op));
      looks.release(opFrom(looks.op), [{ id: "all", locate: () => 0 }]);
      const plain = genesisOf();
      ops.forEach((bodies, i) => {
        const op = i + 2;
        const prepare = prepareOf(
          op,
          startMs * 1000 + op,
          bodies.map((one) => requestOf(one)),
        );
        assert.deepEqual(looks.needs(prepare), []);
        assert.deepEqual(looks.apply(prepare, []), plain.apply(prepare, []));
      });
    }),
    { numRuns: 300 },
  );
});

test("machine: the window of a key's time is exact to the microsecond", () => {
  const machine = new ChatMachine(genesis);
  const windowMs = 24 * 3_600_000;
  const judge = (timeUs: number, keyMs: number): string | undefined => {
    const one = post({ room: "lobby", sender: "ann", key: uuidv7(keyMs, timeUs % 997), body: "b" });
    const prepare = prepareOf(machine.op + 1, timeUs, [requestOf([one])]);
    const [reply] = machine.apply(prepare, []);
    return reply && readResult(reply, 0)?.code;
  };
  const now = startMs * 1000;
  machine.apply(prepareOf(1, now - 1, [requestOf([createRoom("lobby")])]), []);
  assert.equal(judge(now, startMs - windowMs), "ok");
  assert.equal(judge(now + 1, startMs - windowMs), "key_too_old");
  assert.equal(judge(now + 999, startMs + 300_001), "key_in_future");
  assert.equal(judge(now + 1000, startMs + 300_001), "ok");
});
