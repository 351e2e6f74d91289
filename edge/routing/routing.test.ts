// The routing file: checked, epochs only forward, every room at one shard.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { slotOfRoom } from "#replica/base/slots.ts";
import { RoutingTable } from "./routing-table.ts";

const addresses = [1, 2, 3].map((port) => ({ host: "h", port }));
const base = {
  fleet: "default",
  cluster: "0".repeat(32),
  epoch: 3,
  shards: [
    { name: "a", addresses },
    { name: "b", addresses },
  ],
  slots: [
    { tenant: "", first: 0, count: 2048, shard: "a", epoch: 1 },
    { tenant: "", first: 2048, count: 2048, shard: "b", epoch: 1 },
  ],
};

function parse(change: object) {
  return RoutingTable.parse(JSON.stringify({ ...base, ...change }));
}

test("routing: a room is where its slot is", () => {
  const table = parse({});
  assert.ok(table.ok);
  fc.assert(
    fc.property(fc.string(), fc.string({ minLength: 1 }), (tenant, room) => {
      const expected = slotOfRoom(tenant, room) < 2048 ? "a" : "b";
      assert.equal(table.value.shardOf(tenant, room), expected);
    }),
  );
});

test("routing: a tenant with a space of its own uses that alone", () => {
  const table = parse({
    slots: [...base.slots, { tenant: "acme", first: 0, count: 4096, shard: "b", epoch: 1 }],
  });
  assert.ok(table.ok);
  for (let i = 0; i < 50; i += 1) assert.equal(table.value.shardOf("acme", `r${i}`), "b");
});

test("routing: slots of nobody give no shard", () => {
  const table = parse({ slots: [] });
  assert.ok(table.ok);
  assert.equal(table.value.shardOf("", "lobby"), null);
});

test("routing: bad files are refused by reason", () => {
  const range = { tenant: "", first: 0, count: 1, shard: "a", epoch: 1 };
  const cases: readonly [object, string][] = [
    [{ slots: [range, range] }, "overlap"],
    [{ slots: [{ ...range, shard: "c" }] }, "shard"],
    [{ slots: [{ ...range, first: 4096 }] }, "slots"],
    [{ slots: [{ ...range, count: 0 }] }, "form"],
    [{ shards: [{ name: "a", addresses: addresses.slice(1) }] }, "form"],
    [{ shards: [base.shards[0], base.shards[0]], slots: [] }, "shard"],
    [{ cluster: "x" }, "form"],
    [{ epoch: -1 }, "form"],
  ];
  for (const [change, reason] of cases) {
    assert.deepEqual(parse(change), { ok: false, reason }, JSON.stringify(change));
  }
  assert.deepEqual(RoutingTable.parse("{"), { ok: false, reason: "json" });
});

test("routing: only a later epoch of the same cluster replaces a table", () => {
  const [now, later, foreign] = [
    parse({}),
    parse({ epoch: 4 }),
    parse({
      epoch: 9,
      cluster: "1".repeat(32),
    }),
  ];
  assert.ok(now.ok && later.ok && foreign.ok);
  assert.deepEqual(now.value.succeed(later.value), { ok: true, value: later.value });
  assert.deepEqual(later.value.succeed(now.value), { ok: false, reason: "stale" });
  assert.deepEqual(now.value.succeed(now.value), { ok: false, reason: "stale" });
  assert.deepEqual(now.value.succeed(foreign.value), { ok: false, reason: "cluster" });
});
