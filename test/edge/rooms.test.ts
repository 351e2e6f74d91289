// Everything that a room knows, through a real edge and three real replicas: edits, redactions,
// reactions, roles, bans, mutes, markers, settings, quotas, direct messages, threads; and who sees
// what of it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { TestShard } from "#test/support/test-shard.ts";
import { keyAt } from "./keys.ts";
import { SocketClient } from "./socket-client.ts";
import { generousLimits, TestEdge } from "./test-edge.ts";

type Members = Readonly<Record<string, unknown>>;

let shard: TestShard;
let edge: TestEdge;

before(async () => {
  shard = await TestShard.start();
  edge = await TestEdge.start(shard, { limits: generousLimits });
});

const clients: SocketClient[] = [];

after(async () => {
  for (const client of clients) client.close();
  await edge?.stop("SIGKILL");
  await shard?.close();
});

const created = (room: string, creator = "olga") => edge.created(room, creator);

/** A user attached to a room, as a stranger's client. */
async function person(room: string, user: string, more: object = {}) {
  const client = await SocketClient.open(edge.socketUrl);
  clients.push(client);
  const token = await edge.token(room, user);
  const attached = await client.ask({ op: "attach", room, token, tail: 100, ...more });
  const post = (members: object): Promise<Members> =>
    client.ask({ op: "post", room, key: keyAt(Date.now()), ...members });
  const read = async (members: object = {}): Promise<Members> => {
    const answer = await client.ask({ op: "read", room, after: 0, limit: 200, ...members });
    assert.equal(answer["op"], "ok", JSON.stringify(answer));
    return answer["result"] as Members;
  };
  return { client, token, attached, post, read };
}

function seqOf(answer: Members): number {
  assert.equal(answer["op"], "ok", JSON.stringify(answer));
  return Number((answer["result"] as Members)["seq"]);
}

function nameOf(answer: Members): unknown {
  assert.equal(answer["op"], "err", JSON.stringify(answer));
  assert.match(String(answer["message"]), /^[A-Z].*\.$/);
  return answer["name"];
}

function eventsOf(page: Members): readonly Members[] {
  return page["events"] as readonly Members[];
}

test("rooms: edit, react, redact are entries; a redacted text is gone for all", async () => {
  const room = await created("entries");
  const [ann, bob] = [await person(room, "ann"), await person(room, "bob")];
  const seq = seqOf(await ann.post({ body: "Helo secret" }));
  assert.equal(seqOf(await ann.post({ type: "edit", parent: seq, body: "Hello secret" })), 2);
  assert.equal(nameOf(await bob.post({ type: "edit", parent: seq, body: "mine" })), "DENIED");
  assert.equal(nameOf(await bob.post({ type: "react", parent: 99, body: "+1" })), "BAD_POST");
  assert.equal(nameOf(await bob.post({ type: "react", parent: 2, body: "+1" })), "BAD_TARGET");
  assert.equal(seqOf(await bob.post({ type: "react", parent: seq, body: "+1" })), 3);
  assert.equal(nameOf(await bob.post({ type: "redact", parent: seq })), "DENIED");
  assert.equal(seqOf(await ann.post({ type: "redact", parent: seq, body: "typo" })), 4);
  assert.equal(nameOf(await ann.post({ type: "edit", parent: seq, body: "x" })), "REDACTED");
  const events = eventsOf(await bob.read());
  assert.deepEqual(
    events.map((event) => [event["type"], event["body"], event["redacted"]]),
    [
      ["msg", "", true],
      ["edit", "", true],
      ["react", "+1", undefined],
      ["redact", "typo", undefined],
    ],
  );
  const late = await person(room, "cleo", { since: { epoch: bob.attached["epoch"], seq: 0 } });
  for (let i = 0; i < 4; i += 1) await late.client.next("ev");
  assert.ok(!late.client.texts.join("").includes("secret"));
});

test("rooms: a mute stops posting, a ban shows the door, others see a skip", async () => {
  const room = await created("sanctions");
  const [olga, eve, ann] = [
    await person(room, "olga"),
    await person(room, "eve"),
    await person(room, "ann"),
  ];
  assert.deepEqual(olga.attached["you"], { role: "owner", marker: 0 });
  assert.deepEqual(eve.attached["you"], { role: "member", marker: 0 });
  const body = (until: number) => JSON.stringify({ user: "eve", until });
  assert.equal(nameOf(await ann.post({ type: "mute", body: body(5) })), "DENIED");
  seqOf(await olga.post({ type: "mute", body: body(Number.MAX_SAFE_INTEGER) }));
  assert.equal(nameOf(await eve.post({ body: "x" })), "MUTED");
  assert.equal((await eve.client.next("ev"))["type"], "mute");
  assert.equal((await ann.client.next("skip"))["to"], 1);
  const page = await ann.read();
  assert.deepEqual([eventsOf(page).length, page["skips"]], [0, [{ from: 1, to: 1 }]]);
  seqOf(await olga.post({ type: "mute", body: body(0) }));
  seqOf(await eve.post({ body: "free" }));
  seqOf(await olga.post({ type: "ban", body: body(Number.MAX_SAFE_INTEGER) }));
  const gone = await eve.client.next("err");
  assert.deepEqual([gone["id"], gone["room"], gone["name"]], ["", room, "BANNED"]);
  const back = await eve.client.ask({ op: "attach", room, token: eve.token });
  assert.equal(nameOf(back), "BANNED");
  const headers = { authorization: `Bearer ${eve.token}` };
  const read = await edge.call("GET", `/v1/rooms/${room}/events?after=0`, undefined, headers);
  assert.deepEqual([read.status, read.json["name"]], [403, "BANNED"]);
});

test("rooms: members, settings, bans by HTTP; a closed room is closed to strangers", async () => {
  const room = await created("closed");
  const settings = { closed: true, readonly: false, fromJoin: true, privateMarkers: true };
  const path = `/v1/rooms/${room}`;
  const stranger = await person(room, "bob");
  assert.equal((await edge.call("PUT", `${path}/settings`, settings)).status, 201);
  assert.equal((await stranger.client.next("err"))["name"], "DENIED");
  const olga = await person(room, "olga");
  seqOf(await olga.post({ body: "before bob" }));
  const key = { "idempotency-key": keyAt(Date.now()) };
  const put = () => edge.call("PUT", `${path}/members/bob`, { role: "member" }, key);
  assert.deepEqual([(await put()).status, (await put()).status], [201, 200]);
  const bob = await person(room, "bob");
  assert.equal((bob.attached["you"] as Members)["role"], "member");
  seqOf(await olga.post({ body: "after bob" }));
  const page = await bob.read();
  assert.deepEqual(
    eventsOf(page).map((event) => event["body"]),
    ['{"user":"bob","role":"member"}', "after bob"],
  );
  assert.deepEqual(page["skips"], [{ from: 1, to: 2 }]);
  seqOf(await bob.post({ type: "marker", parent: 4 }));
  assert.equal(nameOf(await bob.post({ type: "marker", parent: 3 })), "STALE");
  assert.deepEqual((await olga.read())["skips"], [{ from: 5, to: 5 }]);
  const standing = await edge.call("GET", `${path}/standing?user=bob`);
  assert.deepEqual(standing.json, { role: "member", marker: 4 });
  const headers = { authorization: `Bearer ${bob.token}` };
  const own = await edge.call("PUT", `${path}/bans/olga`, {}, headers);
  assert.deepEqual([own.status, own.json["name"]], [403, "DENIED"]);
  assert.equal((await edge.call("DELETE", `${path}/members/bob`)).status, 201);
  assert.equal((await bob.client.next("err"))["name"], "DENIED");
  const wrong = await edge.call("PUT", `${path}/members/bob`, { role: "king" });
  assert.deepEqual([wrong.status, wrong.json["name"]], [400, "BAD_FRAME"]);
});

test("rooms: a direct message has two people, whoever opens it, and nobody else", async () => {
  const first = await edge.call("POST", "/v1/dms", { users: ["bob", "ann"] });
  const again = await edge.call("POST", "/v1/dms", { users: ["ann", "bob"] });
  assert.deepEqual([first.status, again.status], [201, 200]);
  const room = String(first.json["room"]);
  assert.equal(again.json["room"], room);
  const [ann, bob] = [await person(room, "ann"), await person(room, "bob")];
  seqOf(await ann.post({ body: "just us" }));
  assert.equal((await bob.client.next("ev"))["body"], "just us");
  assert.equal(nameOf((await person(room, "eve")).attached), "DENIED");
  const add = await edge.call("PUT", `/v1/rooms/${room}/members/eve`, { role: "member" });
  assert.deepEqual([add.status, add.json["name"]], [422, "BAD_POST"]);
});

test("rooms: a login opens its own direct messages, and no other's", async () => {
  edge.addLogin(shard.directory, "CODE-DM", { user: "dora", name: "Dora", tenant: "", rooms: [] });
  const login = await fetch(`${edge.url}/v1/logins`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ code: "CODE-DM" }),
  });
  const cookie = String(login.headers.get("set-cookie")).split(";")[0] ?? "";
  const call = async (path: string, body: object) => {
    const response = await fetch(edge.url + path, {
      method: "POST",
      headers: { "content-type": "application/json", cookie },
      body: JSON.stringify(body),
    });
    return { status: response.status, json: (await response.json()) as Members };
  };
  const mine = await call("/v1/dms", { users: ["dora", "ann"] });
  assert.equal(mine.status, 201);
  assert.equal((await call("/v1/dms", { users: ["ann", "bob"] })).status, 403);
  const { json } = await edge.call("POST", "/v1/dms", { users: ["ann", "bob"] });
  assert.equal((await call(`/v1/rooms/${String(mine.json["room"])}/sessions`, {})).status, 201);
  assert.equal((await call(`/v1/rooms/${String(json["room"])}/sessions`, {})).status, 403);
});

test("rooms: a thread is empty before its first answer, then a log of its own", async () => {
  const room = await created("threads");
  const [ann, bob] = [await person(room, "ann"), await person(room, "bob")];
  const root = seqOf(await ann.post({ body: "a question" }));
  const attached = await bob.client.ask({ op: "attach", room, thread: root, token: bob.token });
  assert.deepEqual([attached["thread"], attached["head"]], [root, 0]);
  assert.equal(seqOf(await ann.post({ thread: root, body: "an answer" })), 1);
  const events = [
    await bob.client.next("ev"),
    await bob.client.next("ev"),
    await bob.client.next("ev"),
  ];
  const of = (rid: unknown) => events.filter((event) => event["rid"] === rid);
  assert.deepEqual(
    of(bob.attached["rid"]).map(({ type, body }) => [type, body]),
    [
      ["msg", "a question"],
      ["thread", ""],
    ],
  );
  assert.deepEqual(
    of(attached["rid"]).map(({ type, body }) => [type, body]),
    [["msg", "an answer"]],
  );
  assert.deepEqual(
    eventsOf(await bob.read()).map(({ type }) => type),
    ["msg", "thread"],
  );
  assert.equal(eventsOf(await bob.read({ thread: root })).length, 1);
  const { json } = await edge.call("GET", `/v1/rooms/${room}/events?after=0&thread=${root}`);
  assert.equal((json["events"] as unknown[]).length, 1);
  const nowhere = await ann.client.ask({
    op: "post",
    room,
    thread: 99,
    key: keyAt(Date.now()),
    body: "x",
  });
  assert.ok(["BAD_TARGET", "BAD_POST", "NO_ROOM"].includes(String(nameOf(nowhere))));
});

test("rooms: quotas hold as configured, by version", async () => {
  const room = await created("quotas");
  const path = `/v1/rooms/${room}/quotas`;
  assert.equal((await edge.call("PUT", path, { version: 2, members: 1 })).status, 200);
  assert.equal((await edge.call("PUT", path, { version: 2, members: 1 })).status, 200);
  const old = await edge.call("PUT", path, { version: 1 });
  assert.deepEqual([old.status, old.json["name"]], [409, "STALE"]);
  const member = (user: string) =>
    edge.call("PUT", `/v1/rooms/${room}/members/${user}`, { role: "member" });
  assert.equal((await member("ann")).status, 201);
  const over = await member("bob");
  assert.deepEqual([over.status, over.json["name"]], [403, "QUOTA"]);
  assert.equal((await edge.call("PUT", "/v1/quotas", { version: 1, rooms: 10_000 })).status, 200);
  const nobody = await fetch(`${edge.url}/v1/quotas`, { method: "PUT" });
  assert.equal(nobody.status, 401);
});

test("rooms: a snapshot is the room as of a seq, and the log goes on from there", async () => {
  const room = await created("snapshot");
  const ann = await person(room, "ann");
  for (let i = 1; i <= 3; i += 1) seqOf(await ann.post({ body: `m${i}` }));
  seqOf(await ann.post({ type: "edit", parent: 1, body: "m1 edited" }));
  seqOf(await ann.post({ type: "react", parent: 2, body: "+1" }));
  await edge.call("PUT", `/v1/rooms/${room}/members/bob`, { role: "reader" });
  seqOf(await ann.post({ type: "redact", parent: 3 }));
  seqOf(await ann.post({ thread: 2, body: "in the thread" }));
  for (let i = 9; i <= 210; i += 1) await ann.post({ type: "marker", parent: i - 1 });
  const get = async (query: string) => {
    const { status, json } = await edge.call("GET", `/v1/rooms/${room}/snapshot?${query}`);
    assert.equal(status, 200, JSON.stringify(json));
    return json as { messages: Members[]; members: Members[]; before: number; at: number };
  };
  const now = await get("limit=2");
  assert.deepEqual(
    now.messages.map(({ seq, body, redacted, reactions, thread }) => {
      return { seq, body, redacted, reactions, thread };
    }),
    [
      {
        seq: 2,
        body: "m2",
        redacted: undefined,
        reactions: [{ reaction: "+1", users: ["ann"] }],
        thread: true,
      },
      { seq: 3, body: "", redacted: true, reactions: undefined, thread: undefined },
    ],
  );
  assert.deepEqual(now.members, [{ user: "bob", role: "reader", seq: 6 }]);
  assert.equal(now.before, 2);
  const older = await get(`at=${now.at}&before=${now.before}`);
  assert.deepEqual([older.messages[0]?.["body"], older.before], ["m1 edited", 0]);
  const then = await get("at=3");
  assert.deepEqual(
    then.messages.map(({ body }) => body),
    ["m1", "m2", ""],
  );
  assert.deepEqual([then.members, then.at], [[], 3]);
  const rest = await edge.call("GET", `/v1/rooms/${room}/events?after=3&limit=4`);
  assert.deepEqual(
    (rest.json["events"] as Members[]).map(({ type }) => type),
    ["edit", "react", "member", "redact"],
  );
  const above = await edge.call("GET", `/v1/rooms/${room}/snapshot?at=9999`);
  assert.deepEqual([above.status, above.json["name"]], [400, "BAD_FRAME"]);
  const headers = { authorization: `Bearer ${ann.token}` };
  const own = await edge.call("GET", `/v1/rooms/${room}/snapshot`, undefined, headers);
  assert.ok(!("bans" in own.json) && "settings" in own.json);
});

test("rooms: retention and legal hold are set by version", async () => {
  const room = await created("retention");
  const path = `/v1/rooms/${room}/retention`;
  const ann = await person(room, "ann");
  seqOf(await ann.post({ body: "evidence" }));
  assert.equal((await edge.call("PUT", path, { version: 1, hold: true })).status, 200);
  assert.equal(nameOf(await ann.post({ type: "redact", parent: 1 })), "DENIED");
  assert.equal((await edge.call("PUT", path, { version: 2 })).status, 200);
  assert.equal(seqOf(await ann.post({ type: "redact", parent: 1 })), 2);
  const old = await edge.call("PUT", path, { version: 1, hold: true });
  assert.deepEqual([old.status, old.json["name"]], [409, "STALE"]);
});
