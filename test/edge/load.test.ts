// Goal: limits hold, nothing leaks, a slow reader loses its queue and no entry, a drain is orderly.
// Method: the real edge before three real replicas, real sockets, the kernel's own counts.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { TestShard } from "#test/support/test-shard.ts";
import { keyAt } from "./keys.ts";
import { PausedClient } from "./paused-client.ts";
import { rawHttp, requestBytes } from "./raw-http.ts";
import { SocketClient } from "./socket-client.ts";
import { TestEdge } from "./test-edge.ts";

let shard: TestShard;
let strict: TestEdge;
let open: TestEdge;

before(async () => {
  shard = await TestShard.start();
  strict = await TestEdge.start(shard, { limits: { calls: { perS: 20, burst: 60 } } });
  open = await TestEdge.start(shard, {
    name: "open",
    keysOf: strict,
    // Else the heap grows by what it pleases before it is collected, and hides a leak.
    nodeFlags: ["--max-old-space-size=64", "--max-semi-space-size=1"],
    limits: {
      frames: { perS: 1e6, burst: 1e6 },
      posts: { perS: 1e6, burst: 1e6 },
      connectionsPerUserMax: 1000,
      connects: { perS: 1e4, burst: 1e4 },
    },
  });
  for (const room of ["limits", "slow", "drain"]) await create(room);
});

after(async () => {
  for (const edge of [strict, open]) await edge?.stop("SIGKILL");
  await shard?.close();
});

async function create(room: string): Promise<void> {
  assert.equal((await open.call("POST", "/v1/rooms", { room })).status, 201);
}

async function attached(edge: TestEdge, room: string, user = "ann"): Promise<SocketClient> {
  const client = await SocketClient.open(edge.socketUrl);
  const token = await open.token(room, user);
  assert.equal((await client.ask({ op: "attach", room, token }))["op"], "attached");
  return client;
}

function post(room: string, body: string): object {
  return { op: "post", room, key: keyAt(Date.now()), body };
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

test("load: 20 posts at once pass, the next waits as long as it is told and passes", async () => {
  const client = await attached(strict, "limits");
  const asked = Array.from({ length: 30 }, (_, i) => client.ask(post("limits", `burst ${i}`)));
  const answers = await Promise.all(asked);
  const refused = answers.filter((answer) => answer["op"] === "err");
  assert.ok(refused.length >= 5 && refused.length <= 10, `${refused.length} of 30 refused`);
  for (const answer of refused) {
    assert.deepEqual([answer["code"], answer["name"]], [429, "RATE_LIMITED"]);
    assert.ok(Number(answer["retry_ms"]) > 0 && Number(answer["retry_ms"]) <= 1000);
  }
  await pause(Math.max(...refused.map((answer) => Number(answer["retry_ms"]))));
  assert.equal((await client.ask(post("limits", "later")))["op"], "ok");
});

test("load: frames over the rate are told so; who goes on is closed with 4429", async () => {
  const client = await attached(strict, "limits");
  for (let i = 0; i < 300; i += 1) {
    client.send({ op: "read", id: `r${i}`, room: "limits", after: 0, limit: 1 });
  }
  assert.equal(await client.closed, 4429);
  const limited = client.texts.filter((text) => text.includes("RATE_LIMITED"));
  assert.ok(limited.length >= 100, `${limited.length} frames were told`);
});

test("load: ten connections a user, a rate of calls: both say when to come again", async () => {
  const many = await Promise.all(
    Array.from({ length: 10 }, () => attached(strict, "limits", "many")),
  );
  const extra = await SocketClient.open(strict.socketUrl);
  const token = await open.token("limits", "many");
  const refused = await extra.ask({ op: "attach", room: "limits", token });
  assert.deepEqual([refused["code"], Number(refused["retry_ms"]) > 0], [429, true]);
  many[0]?.close();
  await pause(50);
  const { op } = await extra.ask({ op: "attach", room: "limits", token });
  assert.equal(op, "attached");
  const head = requestBytes("GET /v1/rooms/limits/head", {
    authorization: `Bearer ${strict.apiKey}`,
  });
  const answers = await Promise.all(Array.from({ length: 90 }, () => rawHttp(strict.url, head)));
  const limited = answers.filter((answer) => answer.status === 429);
  assert.ok(limited.length > 0 && limited.length < 90);
  for (const { headers, json } of limited) {
    assert.ok(Number(headers["retry-after"]) >= 1);
    assert.equal(json["name"], "RATE_LIMITED");
  }
  for (const client of [...many, extra]) client.close();
});

/** Resident memory in bytes and open descriptors of a process. */
function sizeOf(pid: number): { readonly bytes: number; readonly handles: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const kib = Number(/^VmRSS:\s+([0-9]+) kB$/m.exec(status)?.[1]);
  return { bytes: kib * 1024, handles: readdirSync(`/proc/${pid}/fd`).length };
}

test("load: 10,000 attaches and detaches, 500 connections: no memory or handle stays", async () => {
  await create("cycle-0");
  const rooms = Array.from({ length: 16 }, (_, i) => `cycle-${i}`);
  for (const room of rooms.slice(1)) await create(room);
  const tokens = await Promise.all(rooms.map((room) => open.token(room, "ann")));
  const cycles = async (count: number) => {
    const client = await SocketClient.open(open.socketUrl);
    for (let i = 0; i < count; i += rooms.length) {
      await Promise.all(
        rooms.map(async (room, index) => {
          const token = tokens[index];
          const attach = await client.ask({ op: "attach", room, token, tail: 10 });
          const detach = await client.ask({ op: "detach", room });
          assert.deepEqual([attach["op"], detach["op"]], ["attached", "ok"]);
        }),
      );
      client.texts.length = 0;
    }
    client.close();
  };
  const connections = async (count: number) => {
    for (let i = 0; i < count; i += 50) {
      const clients = await Promise.all(
        Array.from({ length: 50 }, () => SocketClient.open(open.socketUrl)),
      );
      for (const client of clients) client.close();
    }
  };
  // As much once before: caches, stacks and the heap's first pages are there then.
  await Promise.all(Array.from({ length: 5 }, () => cycles(2_000)));
  await connections(500);
  await pause(500);
  const before = sizeOf(open.pid);
  await Promise.all(Array.from({ length: 5 }, () => cycles(2_000)));
  await connections(500);
  await pause(500);
  const after = sizeOf(open.pid);
  const grownMib = (after.bytes - before.bytes) / 2 ** 20;
  assert.ok(grownMib < 20, `grown by ${grownMib.toFixed(1)} MiB`);
  assert.ok(after.handles <= before.handles + 8, `${before.handles} → ${after.handles} handles`);
  const metrics = await (await fetch(`${open.metricsUrl}/metrics`)).text();
  assert.match(metrics, /^tigerchat_edge_connections 0$/m);
  // A room is followed for 30 s after its last reader has left.
  const followed = Number(/^tigerchat_edge_rooms ([0-9]+)$/m.exec(metrics)?.[1]);
  assert.ok(followed <= rooms.length, `${followed} rooms`);
});

test("load: a slow reader is told what it missed, reads it, and has every entry once", async () => {
  const client = await PausedClient.open(open.url);
  const token = await open.token("slow", "ann");
  client.send({ op: "attach", id: "a", room: "slow", token });
  await client.until((frame) => frame["op"] === "attached");
  client.pause();
  const body = "x".repeat(16_000);
  const count = 900;
  const one = async (index: number) => {
    const headers = { "idempotency-key": keyAt(Date.now()) };
    const posted = { body: `${index} ${body}`, from: "bob" };
    const answer = await open.call("POST", "/v1/rooms/slow/events", posted, headers);
    assert.equal(answer.status, 201);
  };
  for (let i = 0; i < count; i += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, j) => one(i + j)));
  }
  client.resume();
  await client.until((frame) => frame["op"] === "gap");
  await one(count);
  await client.until((frame) => frame["op"] === "ev" && frame["seq"] === count + 1);
  const of = (op: string) => client.frames.filter((frame) => frame["op"] === op);
  const seqs = of("ev").map((frame) => Number(frame["seq"]));
  assert.ok(seqs.length < count, "something was left out");
  // One a time that the queue was dropped: the kernel's buffers grow while they are not read.
  const gaps = of("gap");
  assert.ok(gaps.length <= 5, `${gaps.length} gaps`);
  for (const gap of gaps)
    seqs.push(...(await missed(client, Number(gap["from"]), Number(gap["to"]))));
  seqs.sort((a, b) => a - b);
  assert.deepEqual(
    seqs,
    Array.from({ length: count + 1 }, (_, index) => index + 1),
  );
  client.destroy();
});

/** Reads a range from the log, as a client does after `gap`; the seqs that came. */
async function missed(client: PausedClient, from: number, to: number): Promise<readonly number[]> {
  const seqs: number[] = [];
  for (let next = from; next <= to; next = (seqs.at(-1) ?? to) + 1) {
    const id = `read ${next}`;
    client.send({ op: "read", id, room: "slow", after: next - 1, limit: 100 });
    const answer = await client.until((frame) => frame["id"] === id);
    const { events } = answer["result"] as { readonly events: readonly { seq: number }[] };
    assert.ok(events.length > 0);
    seqs.push(...events.map((event) => event.seq).filter((seq) => seq <= to));
  }
  return seqs;
}

test("load: SIGTERM: all are asked to leave in a window, who stays is closed, exit 0", async () => {
  const leaving = await TestEdge.start(shard, { name: "leaving", keysOf: strict });
  const clients = await Promise.all(
    Array.from({ length: 60 }, (_, i) => attached(leaving, "drain", `user-${i}`)),
  );
  const posting = clients.at(-1)?.ask(post("drain", "on its way"));
  const startMs = performance.now();
  const ended = leaving.stop();
  const drains = await Promise.all(clients.map((client) => client.next("drain")));
  for (const drain of drains)
    assert.deepEqual([drain["window_ms"], drain["reason"]], [300, "shutdown"]);
  const late = await rawHttp(
    leaving.url,
    requestBytes("GET /v1/ws", {
      connection: "upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      "sec-websocket-protocol": "tigerchat.v1.json",
    }),
  );
  assert.deepEqual([late.status, late.json["name"]], [503, "DRAIN"]);
  assert.equal((await fetch(`${leaving.url}/readyz`)).status, 503);
  for (const client of clients.slice(0, 30)) client.close();
  const codes = await Promise.all(clients.slice(30).map((client) => client.closed));
  assert.ok(codes.every((code) => code === 4512));
  assert.ok(performance.now() - startMs >= 290, "the window was kept");
  assert.equal((await posting)?.["op"], "ok");
  assert.equal(await ended, 0);
});
