// What the real edge refuses, on real sockets: each with the published code and a sentence.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { TestShard } from "#test/support/test-shard.ts";
import { keyAt } from "./keys.ts";
import { rawHttp, requestBytes } from "./raw-http.ts";
import type { RawAnswer } from "./raw-http.ts";
import { SocketClient } from "./socket-client.ts";
import { TestEdge } from "./test-edge.ts";

let shard: TestShard;
let edge: TestEdge;

before(async () => {
  shard = await TestShard.start();
  edge = await TestEdge.start(shard, { limits: { logins: { perS: 100, burst: 1000 } } });
  assert.equal((await edge.call("POST", "/v1/rooms", { room: "lobby" })).status, 201);
});

after(async () => {
  await edge?.stop("SIGKILL");
  await shard?.close();
});

const upgrade = {
  connection: "upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
  "sec-websocket-protocol": "tigerchat.v1.json",
};

function assertProblem(answer: RawAnswer, status: number, name: string, detail: RegExp): void {
  const { json, headers } = answer;
  assert.deepEqual([answer.status, json["status"], json["name"]], [status, status, name]);
  assert.match(headers["content-type"] ?? "", /^application\/problem\+json/);
  for (const member of ["type", "title", "detail"]) assert.equal(typeof json[member], "string");
  assert.match(String(json["detail"]), detail);
}

async function attached(): Promise<SocketClient> {
  const client = await SocketClient.open(edge.socketUrl);
  const token = await edge.token("lobby", "ann");
  const answer = await client.ask({ op: "attach", room: "lobby", token });
  assert.equal(answer["op"], "attached");
  return client;
}

function post(members: object): object {
  return { op: "post", room: "lobby", key: keyAt(Date.now()), ...members };
}

test("refusals: a byte too many is TOO_LARGE whatever the text; the socket stays", async () => {
  const client = await attached();
  const large = [
    { body: "x".repeat(16_385) },
    { body: "é".repeat(8_193) },
    { body: "€".repeat(16_384) },
    { body_b64: Buffer.alloc(16_385).toString("base64") },
    { body_b64: Buffer.alloc(20_000).toString("base64") },
  ];
  for (const body of large) {
    const answer = await client.ask(post(body));
    assert.deepEqual([answer["code"], answer["name"]], [413, "TOO_LARGE"]);
    const http = await edge.call(
      "POST",
      "/v1/rooms/lobby/events",
      { ...body, from: "ann" },
      {
        "idempotency-key": keyAt(Date.now()),
      },
    );
    assert.deepEqual([http.status, http.json["name"]], [413, "TOO_LARGE"]);
  }
  for (const body of ["x".repeat(16_384), "é".repeat(8_192)]) {
    assert.equal((await client.ask(post({ body })))["op"], "ok");
  }
});

test("refusals: a lone surrogate is BAD_FRAME and never stored as something else", async () => {
  for (const body of ["a\ud83d", "\ude00b", "\ude00\ud83d"]) {
    const client = await attached();
    const answer = await client.ask(post({ body }));
    assert.deepEqual([answer["code"], answer["name"]], [400, "BAD_FRAME"]);
    assert.match(String(answer["message"]), /surrogate/);
    assert.equal(await client.closed, 4400);
    const headers = { "idempotency-key": keyAt(Date.now()) };
    const path = "/v1/rooms/lobby/events";
    const http = await edge.call("POST", path, { body, from: "ann" }, headers);
    assert.deepEqual([http.status, http.json["name"]], [400, "BAD_FRAME"]);
  }
  const whole = await (await attached()).ask(post({ body: "a\ud83d\ude00" }));
  assert.equal(whole["op"], "ok");
  const { json } = await edge.call("GET", "/v1/rooms/lobby/events?limit=200");
  const bodies = (json["events"] as { body: string }[]).map(({ body }) => body);
  assert.ok(bodies.includes("a\u{1f600}"));
  assert.ok(bodies.every((body) => !body.includes("\ufffd")));
});

test("refusals: bytes that are not UTF-8 are BAD_FRAME by WebSocket and by HTTP", async () => {
  const body = Buffer.from('{"body":"a\xff","from":"ann"}', "latin1");
  const head = requestBytes("POST /v1/rooms/lobby/events", {
    authorization: `Bearer ${edge.apiKey}`,
    "content-type": "application/json",
    "content-length": String(body.length),
    "idempotency-key": keyAt(Date.now()),
  });
  const http = await rawHttp(edge.url, Buffer.concat([Buffer.from(head), body]));
  assertProblem(http, 400, "BAD_FRAME", /UTF-8/);
  const frame = Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0xff]);
  const socket = await rawHttp(
    edge.url,
    Buffer.concat([Buffer.from(requestBytes("GET /v1/ws", upgrade)), frame]),
  );
  assert.equal(socket.status, 101);
});

test("refusals: a message over 64 KiB is told TOO_LARGE, then closed with 4413", async () => {
  const client = await attached();
  client.sendText(JSON.stringify(post({ id: "1", body: "x".repeat(70_000) })));
  const answer = await client.next("err");
  assert.deepEqual([answer["code"], answer["name"], answer["id"]], [413, "TOO_LARGE", ""]);
  assert.equal(await client.closed, 4413);
});

test("refusals: an upgrade that is not admitted gets a problem that says why", async () => {
  const cases: readonly [Record<string, string>, number, string, RegExp][] = [
    [{ origin: "https://evil.example" }, 403, "DENIED", /allowedOrigins/],
    [{ origin: "null" }, 403, "DENIED", /null/],
    [{ "sec-websocket-protocol": "other.v1" }, 400, "BAD_FRAME", /tigerchat\.v1\.json/],
    [{ "sec-websocket-protocol": "" }, 400, "BAD_FRAME", /tigerchat\.v1\.json/],
    [{ "sec-websocket-version": "8" }, 426, "UPGRADE_REQUIRED", /must be 13/],
    [{ "sec-websocket-key": "short" }, 426, "UPGRADE_REQUIRED", /16 bytes/],
    [{ upgrade: "h2c" }, 426, "UPGRADE_REQUIRED", /WebSocket/],
  ];
  for (const [headers, status, name, detail] of cases) {
    const bytes = requestBytes("GET /v1/ws", { ...upgrade, ...headers });
    assertProblem(await rawHttp(edge.url, bytes), status, name, detail);
  }
  const { "sec-websocket-protocol": _, ...bare } = upgrade;
  const none = await rawHttp(edge.url, requestBytes("GET /v1/ws", bare));
  assertProblem(none, 400, "BAD_FRAME", /tigerchat\.v1\.json/);
  const plain = await rawHttp(edge.url, requestBytes("GET /v1/ws"));
  assertProblem(plain, 426, "UPGRADE_REQUIRED", /WebSocket/);
  assert.equal(plain.headers["upgrade"], "websocket");
  const elsewhere = await rawHttp(edge.url, requestBytes("GET /v1/nowhere", upgrade));
  assertProblem(elsewhere, 404, "NOT_FOUND", /openapi\.json/);
});

test("refusals: bad URLs, methods and bytes are problems; 405 names what is allowed", async () => {
  const say = (line: string) => rawHttp(edge.url, requestBytes(line));
  assertProblem(await say("GET /v1/rooms/%zz/head"), 400, "BAD_REQUEST", /well-formed/);
  assertProblem(await say("GET /v1/nothing"), 404, "NOT_FOUND", /openapi/);
  const allowed = {
    "DELETE /v1/rooms": "POST",
    "GET /v1/rooms": "POST",
    "PUT /v1/rooms/lobby/events?after=0": "POST, GET, HEAD",
    "POST /v1/rooms/lobby/head": "GET, HEAD",
    "POST /v1/ws": "GET",
    "OPTIONS /v1/logins": "POST, GET, HEAD",
    "DELETE /openapi.json": "GET, HEAD",
  };
  for (const [line, allow] of Object.entries(allowed)) {
    const answer = await say(line);
    assertProblem(answer, 405, "METHOD_NOT_ALLOWED", /is not offered here/);
    assert.equal(answer.headers["allow"], allow, line);
  }
  assertProblem(await rawHttp(edge.url, "HELLO\r\n\r\n"), 400, "BAD_REQUEST", /HTTP/);
  const long = requestBytes(`GET /v1/${"x".repeat(20_000)}`);
  assertProblem(await rawHttp(edge.url, long), 431, "HEADERS_TOO_LARGE", /16384/);
});

test("refusals: who is not let in is told what is wrong and what would do", async () => {
  const head = "GET /v1/rooms/lobby/head";
  const asked = async (bearer: string | null, line = head) => {
    const headers = bearer === null ? {} : { authorization: `Bearer ${bearer}` };
    return await rawHttp(edge.url, requestBytes(line, headers));
  };
  const token = await edge.token("lobby", "ann", ["post"]);
  const forged = `${token.slice(0, -6)}AAAAAA`;
  const other = await edge.token("other", "ann");
  const invalid = "TOKEN_INVALID";
  assertProblem(await asked(null), 401, invalid, /session token of the room, or an API key/);
  assertProblem(await asked("tck_wrong_key"), 401, invalid, /no API key of this edge\..*session/);
  assertProblem(await asked(forged), 401, invalid, /signature is wrong.*mint one/);
  assertProblem(await asked("a.b.c"), 401, invalid, /no session token: mint one/);
  assertProblem(await asked(token), 403, "DENIED", /lacks scope read: mint/);
  assertProblem(await asked(other), 403, "DENIED", /for room other/);
  const create = await asked(token, "POST /v1/rooms");
  assertProblem(create, 401, invalid, /API key with scope rooms/);
  const session = await asked(null, "POST /v1/rooms/lobby/sessions");
  assertProblem(session, 401, invalid, /login's cookie, or an API key/);
});
