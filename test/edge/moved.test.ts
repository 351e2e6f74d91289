// Goal: an edge whose routing table is old loses no post. Method: two real shards; the table says
// for a while that one of them has everything; posts are sent and the table is mended meanwhile.
import assert from "node:assert/strict";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { slotOfRoom } from "#replica/base/slots.ts";
import { LocalFleet } from "#test/support/local-fleet.ts";
import { keyAt } from "./keys.ts";

interface Routing {
  readonly epoch: number;
  readonly slots: readonly object[];
}

async function metric(fleet: LocalFleet, name: string): Promise<number> {
  const text = await (await fetch(fleet.facts.metrics)).text();
  return Number(new RegExp(`^${name}(?:\\{.*\\})? ([0-9]+)$`, "m").exec(text)?.[1] ?? 0);
}

test("moved: a post of an old routing table is repeated where the new one says", async () => {
  const fleet = await LocalFleet.start(["--shards", "2"]);
  try {
    const [edge = ""] = fleet.facts.edges;
    const authorization = `Bearer ${readFileSync(fleet.facts.apiKeyFile, "utf8").trim()}`;
    const call = async (path: string, body: object) =>
      await fetch(edge + path, {
        method: "POST",
        headers: {
          authorization,
          "content-type": "application/json",
          "idempotency-key": keyAt(Date.now()),
        },
        body: JSON.stringify(body),
      });
    const names = Array.from({ length: 50 }, (_, index) => `room-${index}`);
    const room = names.find((name) => slotOfRoom("", name) >= 2048) ?? "";
    assert.equal((await call("/v1/rooms", { room })).status, 201);
    const file = join(fleet.facts.data, "edge", "routing", "routing.json");
    const right = JSON.parse(readFileSync(file, "utf8")) as Routing;
    const publish = (slots: readonly object[], later: number) => {
      const text = JSON.stringify({ ...right, slots, epoch: right.epoch + later });
      writeFileSync(`${file}.new`, text);
      renameSync(`${file}.new`, file);
    };
    publish([{ tenant: "", first: 0, count: 4096, shard: "lobby", epoch: 1 }], 1);
    const epoch = "tigerchat_edge_routing_epoch";
    for (let i = 0; i < 100 && (await metric(fleet, epoch)) !== right.epoch + 1; i += 1) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const posts = [1, 2, 3].map((n) => {
      return call(`/v1/rooms/${room}/events`, { body: `post ${n}`, from: "ann" });
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    publish(right.slots, 2);
    const answers = await Promise.all(posts);
    assert.deepEqual(
      answers.map((answer) => answer.status),
      [201, 201, 201],
    );
    assert.ok((await metric(fleet, "tigerchat_edge_moved_total")) >= 3);
    assert.equal(await metric(fleet, epoch), right.epoch + 2);
  } finally {
    await fleet.stop();
  }
});
