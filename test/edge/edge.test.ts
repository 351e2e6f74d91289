// The real edge process before three real replicas: what a stranger may rely on.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Chat } from "@tigerchat/sdk";
import type { ChatEntry, Clock, Room, RoomOptions, SocketLike } from "@tigerchat/sdk";
import { decodeServerFrame } from "#edge/api/decode-frame.ts";
import { TestShard } from "#test/support/test-shard.ts";
import { SocketClient } from "./socket-client.ts";
import { generousLimits, TestEdge } from "./test-edge.ts";
import { keyAt } from "./keys.ts";

let shard: TestShard;
let edge: TestEdge;

before(async () => {
  shard = await TestShard.start();
  edge = await TestEdge.start(shard, { limits: generousLimits });
});

const chats: Chat[] = [];

after(async () => {
  for (const chat of chats) chat.close();
  await edge?.stop("SIGKILL");
  await shard?.close();
});

/** Backs off a tenth as long: what is tested is what happens, not how long it takes. */
const hasty: Clock = {
  wallMs: () => Date.now(),
  nowMs: () => performance.now(),
  after: (delayMs, call) => {
    const timer = setTimeout(call, delayMs);
    return () => clearTimeout(timer);
  },
  fraction: () => Math.random() / 10,
  random: (count) => crypto.getRandomValues(new Uint8Array(count)),
};

/** A chat whose sockets can be cut from outside. */
function chatOf(user: string, through: () => TestEdge = () => edge) {
  const sockets: WebSocket[] = [];
  const chat = new Chat({
    url: through().socketUrl,
    clock: hasty,
    getToken: async (room) => await through().token(room, user),
    socket: (url, protocol) => {
      const socket = new WebSocket(url, protocol);
      sockets.push(socket);
      return socket as unknown as SocketLike;
    },
  });
  chats.push(chat);
  const cut = () => sockets.at(-1)?.close();
  return { chat, cut, connections: () => sockets.length };
}

function listening(chat: Chat, name: string, options: RoomOptions = {}) {
  const entries: ChatEntry[] = [];
  const room = chat.room(name, { ...options, onEntry: (entry) => entries.push(entry) });
  return { room, entries };
}

async function until(what: string, holds: () => boolean, limitMs = 20_000): Promise<void> {
  const untilMs = performance.now() + limitMs;
  while (!holds()) {
    if (performance.now() > untilMs) throw new Error(`waited ${limitMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function assertDense(entries: readonly ChatEntry[], first = 1): void {
  assert.deepEqual(
    entries.map((entry) => entry.seq),
    entries.map((_, index) => first + index),
  );
}

async function postAll(room: Room, prefix: string, count: number): Promise<void> {
  const posts = Array.from({ length: count }, (_, index) => room.post(`${prefix}${index}`));
  await Promise.all(posts);
}

test("edge: two SDK clients see every post once, in one order, senders in theirs", async () => {
  const name = await edge.created("ordered");
  const [ann, bob] = [chatOf("ann"), chatOf("bob")];
  const [a, b] = [listening(ann.chat, name), listening(bob.chat, name)];
  await Promise.all([postAll(a.room, "a", 50), postAll(b.room, "b", 50)]);
  await until("100 entries", () => a.entries.length >= 100 && b.entries.length >= 100);
  assertDense(a.entries);
  assert.deepEqual(a.entries, b.entries);
  for (const [user, prefix] of [
    ["ann", "a"],
    ["bob", "b"],
  ] as const) {
    const own = a.entries.filter((entry) => entry.from === user).map((entry) => entry.body);
    assert.deepEqual(
      own,
      Array.from({ length: 50 }, (_, index) => `${prefix}${index}`),
    );
  }
  assert.deepEqual([a.room.pending, b.room.pending], [[], []]);
  ann.chat.close();
  bob.chat.close();
});

test("edge: sockets cut again and again: nothing lost, doubled or out of order", async () => {
  const name = await edge.created("cut");
  const [ann, bob] = [chatOf("ann"), chatOf("bob")];
  const a = listening(ann.chat, name, { tail: 0 });
  const b = listening(bob.chat, name);
  await until("both live", () => a.room.state === "live" && b.room.state === "live");
  const posting = postAll(a.room, "m", 40);
  // Cut by progress, not by time: a busy machine gets as far as an idle one.
  for (const [count, who, { room }] of [
    [4, bob, b],
    [9, ann, a],
    [14, bob, b],
    [19, ann, a],
    [24, bob, b],
    [29, ann, a],
  ] as const) {
    await until(`${count} entries`, () => b.entries.length >= count, 40_000);
    // A socket that is being dialled has nothing to lose yet.
    await until("a live room", () => room.state === "live", 40_000);
    const before = who.connections();
    who.cut();
    await until("another socket", () => who.connections() > before, 40_000);
  }
  await posting;
  await until("all", () => a.entries.length >= 40 && b.entries.length >= 40, 60_000);
  for (const { entries } of [a, b]) {
    assertDense(entries);
    assert.deepEqual(
      entries.map((entry) => entry.body),
      Array.from({ length: 40 }, (_, index) => `m${index}`),
    );
  }
  assert.ok(ann.connections() >= 4, `${ann.connections()} connections`);
  assert.ok(bob.connections() >= 4, `${bob.connections()} connections`);
  ann.chat.close();
  bob.chat.close();
});

test("edge: a post repeated by HTTP with the same key gives the same seq and dup", async () => {
  const name = await edge.created("again");
  const key = keyAt(Date.now());
  const path = `/v1/rooms/${name}/events`;
  const post = (body: string) =>
    edge.call("POST", path, { body, from: "ann" }, { "idempotency-key": key });
  const [first, second, other] = [await post("one"), await post("one"), await post("two")];
  assert.deepEqual([first.status, second.status, other.status], [201, 200, 409]);
  assert.deepEqual(second.json, { ...first.json, dup: true });
  assert.equal(other.json["name"], "KEY_MISMATCH");
  const old = await edge.call(
    "POST",
    path,
    { body: "x", from: "ann" },
    {
      "idempotency-key": keyAt(Date.now() - 25 * 3600 * 1000),
    },
  );
  assert.deepEqual([old.status, old.json["name"]], [412, "KEY_TOO_OLD"]);
  const ahead = await edge.call(
    "POST",
    path,
    { body: "x", from: "ann" },
    {
      "idempotency-key": keyAt(Date.now() + 10 * 60 * 1000),
    },
  );
  assert.deepEqual([ahead.status, ahead.json["name"]], [412, "KEY_IN_FUTURE"]);
  const { json } = await edge.call("GET", `${path}?after=0`);
  assert.equal((json["events"] as unknown[]).length, 1);
});

test("edge: a session token posts and reads by HTTP in its room and in its name only", async () => {
  const name = await edge.created("by-token");
  const authorization = `Bearer ${await edge.token(name, "ann", ["post"])}`;
  const headers = () => ({ authorization, "idempotency-key": keyAt(Date.now()) });
  const path = `/v1/rooms/${name}/events`;
  const posted = await edge.call("POST", path, { body: "x" }, headers());
  assert.equal(posted.status, 201);
  const asBob = await edge.call("POST", path, { body: "x", from: "bob" }, headers());
  const elsewhere = await edge.call("POST", "/v1/rooms/other/events", { body: "x" }, headers());
  const reading = await edge.call("GET", path, undefined, headers());
  assert.deepEqual([asBob.status, elsewhere.status, reading.status], [403, 403, 403]);
});

test("edge: a signal reaches the others in the room, not its sender, and no log", async () => {
  const name = await edge.created("signals");
  const clients = await Promise.all(
    ["ann", "bob"].map(async (user) => {
      const client = await SocketClient.open(edge.socketUrl);
      const token = await edge.token(name, user);
      const attached = await client.ask({ op: "attach", room: name, token });
      return { client, rid: attached["rid"] };
    }),
  );
  const [ann, bob] = clients;
  ann?.client.send({ op: "signal", room: name, kind: "typing" });
  const signal = await bob?.client.next("signal");
  assert.deepEqual(signal, { op: "signal", rid: bob?.rid, kind: "typing", from: "ann" });
  assert.ok(ann?.client.texts.every((text) => !text.includes("typing")));
  const { json } = await edge.call("GET", `/v1/rooms/${name}/head`);
  assert.equal(json["head"], 0);
});

test("edge: a second edge repeats a post of the first, and resumes its clients", async () => {
  const name = await edge.created("two-edges");
  const other = await TestEdge.start(shard, { name: "edge-2", keysOf: edge });
  try {
    const key = keyAt(Date.now());
    const path = `/v1/rooms/${name}/events`;
    const headers = { "idempotency-key": key };
    const one = await edge.call("POST", path, { body: "x", from: "ann" }, headers);
    const two = await other.call("POST", path, { body: "x", from: "ann" }, headers);
    assert.deepEqual(two.json, { ...one.json, dup: true });
    const client = await SocketClient.open(other.socketUrl);
    const token = await edge.token(name, "ann");
    const attached = await client.ask({
      op: "attach",
      room: name,
      token,
      since: { epoch: Number(one.json["epoch"]), seq: 0 },
    });
    assert.deepEqual([attached["recovered"], attached["next"]], [true, 1]);
    await client.next("ev");
    assert.equal(await other.stop(), 0);
    assert.equal((await client.next("drain"))["reason"], "shutdown");
    assert.equal(await client.closed, 4512);
  } finally {
    await other.stop("SIGKILL");
  }
});

test("edge: the primary is killed while two write: both go on, nothing is lost", async () => {
  const name = await edge.created("failover");
  const [ann, bob] = [chatOf("ann"), chatOf("bob")];
  const [a, b] = [listening(ann.chat, name), listening(bob.chat, name)];
  await Promise.all([postAll(a.room, "a", 5), postAll(b.room, "b", 5)]);
  const primary = await shard.waitForPrimary();
  const writing = Promise.all([postAll(a.room, "c", 40), postAll(b.room, "d", 40)]);
  await shard.replicas[primary]?.signal("SIGKILL");
  await writing;
  await until("90 entries", () => a.entries.length >= 90 && b.entries.length >= 90);
  assertDense(a.entries);
  assert.deepEqual(a.entries, b.entries);
  assert.equal(new Set(a.entries.map((entry) => entry.body)).size, 90);
  shard.replicas[primary]?.start();
  ann.chat.close();
  bob.chat.close();
});

test("edge: frames follow the published schema, errors are those of the table", async () => {
  const name = await edge.created("frames");
  const client = await SocketClient.open(edge.socketUrl);
  const token = await edge.token(name, "ann", ["read"]);
  await client.ask({ op: "attach", room: name, token });
  const key = keyAt(Date.now());
  const denied = await client.ask({ op: "post", room: name, key, body: "x" });
  assert.deepEqual([denied["code"], denied["name"]], [403, "DENIED"]);
  const wrong = await client.ask({ op: "attach", room: "other", token });
  assert.equal(wrong["name"], "DENIED");
  const forged = await client.ask({ op: "attach", room: name, token: `${token.slice(0, -4)}AAAA` });
  assert.deepEqual([forged["code"], forged["name"]], [401, "TOKEN_INVALID"]);
  const nowhere = await edge.token("nowhere", "ann");
  const missing = await client.ask({ op: "attach", room: "nowhere", token: nowhere });
  assert.deepEqual([missing["code"], missing["name"]], [404, "NO_ROOM"]);
  const page = await client.ask({ op: "read", room: name, after: 0 });
  assert.equal(page["op"], "ok");
  for (const text of client.texts) assert.ok(decodeServerFrame(text).ok, text);
  client.send({ op: "nonsense", id: "9" });
  assert.equal(await client.closed, 4400);
});

test("edge: foreign origins, wrong subprotocols and oversized frames are refused", async () => {
  const headers = { origin: "https://evil.example" };
  assert.equal(await SocketClient.refusal(edge.socketUrl, headers), 403);
  assert.equal(await SocketClient.refusal(edge.socketUrl, { origin: "null" }), 403);
  const other = { "sec-websocket-protocol": "other.v1" };
  assert.equal(await SocketClient.refusal(edge.socketUrl, other), 400);
  const client = await SocketClient.open(edge.socketUrl);
  client.sendText("x".repeat(70_000));
  assert.equal(await client.closed, 4413);
});

test("edge: server-sent events follow a room and resume from Last-Event-ID", async () => {
  const name = await edge.created("stream");
  const path = `/v1/rooms/${name}`;
  const post = (body: string) =>
    edge.call(
      "POST",
      `${path}/events`,
      { body, from: "ann" },
      {
        "idempotency-key": keyAt(Date.now()),
      },
    );
  for (const body of ["one", "two", "three"]) await post(body);
  const authorization = `Bearer ${edge.apiKey}`;
  const response = await fetch(`${edge.url}${path}/stream`, {
    headers: { authorization, "last-event-id": "1:1" },
  });
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const reading = (async () => {
    while (!text.includes('"four"')) text += (await reader?.read())?.value ?? "";
  })();
  await post("four");
  await reading;
  const ids = [...text.matchAll(/^id: (.*)\nevent: ev$/gm)].map((match) => match[1]);
  assert.deepEqual(ids, ["1:2", "1:3", "1:4"]);
  await reader?.cancel();
  const waiting = edge.call("GET", `${path}/stream?after=4&wait=20`);
  await new Promise((resolve) => setTimeout(resolve, 200));
  await post("five");
  const { json } = await waiting;
  assert.deepEqual(
    (json["events"] as { body: string }[]).map(({ body }) => body),
    ["five"],
  );
});

test("edge: a one-time code logs in once; its cookie mints sessions for itself only", async () => {
  await edge.created("page");
  const login = { user: "ann", name: "Ann", tenant: "", rooms: ["page"] };
  edge.addLogin(shard.directory, "ABCD-2345", login);
  const post = (path: string, body: object, cookie = "") =>
    fetch(edge.url + path, {
      method: "POST",
      headers: { "content-type": "application/json", cookie },
      body: JSON.stringify(body),
    });
  const first = await post("/v1/logins", { code: "abcd-2345" });
  assert.equal(first.status, 201);
  const set = first.headers.get("set-cookie") ?? "";
  assert.match(set, /HttpOnly; SameSite=Strict/);
  assert.equal((await post("/v1/logins", { code: "ABCD-2345" })).status, 401);
  const cookie = set.split(";")[0] ?? "";
  const who = await fetch(`${edge.url}/v1/logins`, { headers: { cookie } });
  assert.deepEqual(await who.json(), { user: "ann", name: "Ann", rooms: ["page"] });
  assert.equal((await post("/v1/rooms/page/sessions", {}, cookie)).status, 201);
  assert.equal((await post("/v1/rooms/page/sessions", { user: "bob" }, cookie)).status, 403);
  assert.equal((await post("/v1/rooms/other/sessions", {}, cookie)).status, 403);
  assert.equal((await post("/v1/rooms/page/sessions", {})).status, 401);
});

test("edge: documents name this edge; calls without a key are refused; metrics count", async () => {
  const open = (await (await fetch(`${edge.url}/openapi.json`)).json()) as {
    servers: { url: string }[];
  };
  assert.equal(open.servers[0]?.url, edge.url);
  const async = (await (await fetch(`${edge.url}/asyncapi.json`)).json()) as { asyncapi: string };
  assert.equal(async.asyncapi, "3.0.0");
  const bare = await fetch(`${edge.url}/v1/rooms`, { method: "POST" });
  assert.equal(bare.status, 401);
  assert.match(bare.headers.get("content-type") ?? "", /^application\/problem\+json/);
  const metrics = await (await fetch(`${edge.metricsUrl}/metrics`)).text();
  assert.match(metrics, /tigerchat_edge_operations_total\{shard="lobby"\} [1-9]/);
  assert.match(metrics, /tigerchat_edge_malformed_pushes_total 0\n/);
});

test("edge: two people have one room of their own, whoever names the pair", async () => {
  const one = await edge.call("POST", "/v1/dms", { users: ["ann", "bob"] });
  const two = await edge.call("POST", "/v1/dms", { users: ["bob", "ann"] });
  assert.deepEqual([one.status, two.status], [201, 200]);
  assert.equal(one.json["room"], two.json["room"]);
});
