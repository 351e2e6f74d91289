// A whole chat on virtual time: the SDK before the edge's own connection and fan-out, over links
// that cut, delay and lose answers, and a shard that loses pushes, fails reads and gives unknown
// outcomes. Whatever happens: every post once, each sender's in order, each client sees all of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { VirtualWorld } from "../../../test/edge/virtual-world.ts";

test("sdk: over cuts and unknown outcomes each post is there once, in order", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), async (seed) => {
      const world = new VirtualWorld(seed);
      const people = ["ann", "bob", "cyd"].map((user) => world.join(user));
      const sent = new Map<string, string[]>();
      for (const { user, room } of people) {
        const bodies: string[] = [];
        sent.set(user, bodies);
        for (let i = 0; i < 12; i += 1) {
          world.at(world.chance.below(20_000), () => {
            bodies.push(`${user}-${bodies.length}`);
            void room.post(bodies.at(-1) ?? "");
          });
        }
      }
      await world.run(20_000, { faults: true });
      await world.run(200_000, { faults: false });
      assert.equal(world.log.length, 36);
      for (const { user, room, entries } of people) {
        assert.deepEqual(room.pending, [], `${user} has nothing pending`);
        assert.deepEqual(
          entries.map((entry) => entry.seq),
          world.log.map((_, i) => i + 1),
        );
        const own = entries.filter((entry) => entry.from === user).map((entry) => entry.body);
        assert.deepEqual(own, sent.get(user));
      }
    }),
    { numRuns: 25 },
  );
});

test("sdk: a post refused for good stops those behind it until it is discarded", async () => {
  const world = new VirtualWorld(1);
  const { room } = world.join("ann");
  await world.run(1_000, { faults: false });
  world.refuseNext = "KEY_MISMATCH";
  const first = room.post("first").catch((error: Error) => error.name);
  const second = room.post("second");
  await world.run(1_000, { faults: false });
  assert.equal(await first, "KEY_MISMATCH");
  assert.deepEqual(
    room.pending.map(({ body, state }) => [body, state]),
    [
      ["first", "failed"],
      ["second", "queued"],
    ],
  );
  assert.equal(room.discard(room.pending[0]?.key ?? ""), true);
  await world.run(1_000, { faults: false });
  assert.equal((await second).seq, 1);
  assert.deepEqual(room.pending, []);
});

test("sdk: a retried post keeps its key and goes first", async () => {
  const world = new VirtualWorld(2);
  const { room, entries } = world.join("ann");
  await world.run(1_000, { faults: false });
  world.refuseNext = "TOO_LARGE";
  room.post("first").catch(() => undefined);
  void room.post("second");
  await world.run(1_000, { faults: false });
  const key = room.pending[0]?.key ?? "";
  room.retry(key);
  await world.run(1_000, { faults: false });
  assert.deepEqual(
    entries.map(({ body }) => body),
    ["first", "second"],
  );
  assert.equal(entries[0]?.key, key);
});

test("sdk: the iterator gives every entry, whatever its buffer", async () => {
  const world = new VirtualWorld(3);
  const { room } = world.join("ann");
  const got: number[] = [];
  const reading = (async () => {
    for await (const entry of room.entries(2)) {
      got.push(entry.seq);
      if (got.length === 30) break;
      if (entry.seq === 5) await world.sleep(3_000);
    }
  })();
  for (let i = 0; i < 30; i += 1) void room.post(`m${i}`);
  await world.run(60_000, { faults: false });
  await reading;
  assert.deepEqual(
    got,
    Array.from({ length: 30 }, (_, index) => index + 1),
  );
});

test("sdk: a hole too large to read resets what is shown, and goes on without a hole", async () => {
  const world = new VirtualWorld(4);
  const { entries, resets, cut } = world.join("ann");
  for (let i = 0; i < 5; i += 1) world.append("bob", `m${i}`);
  await world.run(5_000, { faults: false });
  world.hold = true;
  cut();
  for (let i = 5; i < 2_500; i += 1) world.append("bob", `m${i}`);
  await world.run(1_000, { faults: false });
  world.hold = false;
  await world.run(60_000, { faults: false });
  assert.deepEqual(
    resets.map(({ next }) => next),
    [2451],
  );
  assert.equal(entries.at(-1)?.seq, 2500);
  assert.deepEqual(entries.slice(-50).map(({ seq }) => seq)[0], 2451);
});

test("sdk: a token that is refused is fetched once more, then the room stops", async () => {
  const world = new VirtualWorld(5);
  world.refuseTokens = true;
  const { room, errors, tokens } = world.join("ann");
  await world.run(60_000, { faults: false });
  assert.equal(room.state, "stopped");
  assert.deepEqual(errors, ["TOKEN_INVALID", "TOKEN_INVALID"]);
  assert.equal(tokens(), 2);
});

test("sdk: tokens are renewed before they end, and the room is never detached", async () => {
  const world = new VirtualWorld(6);
  world.tokenLifetimeS = 600;
  const { room, states, tokens, errors } = world.join("ann");
  await world.run(3_600_000, { faults: false });
  assert.deepEqual([states, errors], [["attaching", "live"], []]);
  assert.ok(tokens() >= 6 && tokens() <= 8, `${tokens()} tokens in an hour`);
  assert.equal(room.state, "live");
});

test("sdk: a drain makes every client leave once, and nothing is lost", async () => {
  const world = new VirtualWorld(7);
  const people = ["ann", "bob", "cyd"].map((user) => world.join(user));
  await world.run(1_000, { faults: false });
  for (const { user, room } of people) void room.post(user);
  world.drain(5_000);
  for (let i = 0; i < 20; i += 1) world.at(i * 300, () => void people[0]?.room.post(`m${i}`));
  await world.run(10_000, { faults: false });
  for (const { states, entries } of people) {
    assert.deepEqual(states, ["attaching", "live", "detached", "attaching", "live"]);
    assert.deepEqual(
      entries.map(({ seq }) => seq),
      world.log.map((_, index) => index + 1),
    );
  }
  assert.equal(world.log.length, 23);
});
