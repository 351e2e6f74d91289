// Goal: a client written from /asyncapi.json and /openapi.json alone works, and everything that
// the edge says follows them. Method: a real edge; its own documents; Ajv, which is not our code.
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { TestShard } from "#test/support/test-shard.ts";
import { keyAt } from "./keys.ts";
import { PublishedSocket, publishedCalls } from "./published-schema.ts";
import { TestEdge } from "./test-edge.ts";

type Json = Readonly<Record<string, unknown>>;

let shard: TestShard;
let edge: TestEdge;
let published: PublishedSocket;

async function document(name: string): Promise<Json> {
  return (await (await fetch(`${edge.url}/${name}`)).json()) as Json;
}

before(async () => {
  shard = await TestShard.start();
  edge = await TestEdge.start(shard, { limits: { logins: { perS: 100, burst: 1000 } } });
  published = new PublishedSocket(await document("asyncapi.json"));
  assert.equal((await edge.call("POST", "/v1/rooms", { room: "lobby" })).status, 201);
});

after(async () => {
  await edge?.stop("SIGKILL");
  await shard?.close();
});

/** Knows nothing but the documents; refuses every frame that does not follow them. */
class Stranger {
  private readonly socket: WebSocket;
  private readonly frames: Json[] = [];
  private readonly faults: unknown[] = [];
  private wake: () => void = () => undefined;
  closeCode = 0;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.onmessage = ({ data }) => {
      const frame = JSON.parse(String(data)) as Json;
      try {
        published.require(frame);
      } catch (fault) {
        this.faults.push(fault);
      }
      this.frames.push(frame);
      this.wake();
    };
    socket.onclose = ({ code }) => {
      this.closeCode = code;
      this.wake();
    };
  }

  static async open(): Promise<Stranger> {
    const socket = new WebSocket(published.url, published.subprotocol);
    const stranger = new Stranger(socket);
    await once(socket, "open");
    return stranger;
  }

  send(frame: Json): void {
    this.socket.send(JSON.stringify(frame));
  }

  /** The next frame that fits; throws when the edge closes first or sends what is not published. */
  async next(fits: (frame: Json) => boolean): Promise<Json> {
    const untilMs = performance.now() + 10_000;
    for (;;) {
      if (this.faults.length > 0) throw this.faults[0];
      const index = this.frames.findIndex(fits);
      const [found] = index < 0 ? [] : this.frames.splice(index, 1);
      if (found !== undefined) return found;
      const gone = this.closeCode !== 0 || performance.now() > untilMs;
      if (gone)
        throw new Error(`no answer; closed ${this.closeCode}; ${JSON.stringify(this.frames)}`);
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        setTimeout(resolve, 100);
      });
    }
  }

  close(): void {
    this.socket.close();
  }
}

/** An example as a client sends it: with a real token and a key of now. */
async function made(example: Json): Promise<Json> {
  return {
    ...example,
    ...("token" in example ? { token: await edge.token("lobby", "ann") } : {}),
    ...("key" in example ? { key: keyAt(Date.now()) } : {}),
  };
}

async function greeted(): Promise<Stranger> {
  const stranger = await Stranger.open();
  for (const hello of published.examples.get("hello") ?? []) stranger.send(hello);
  await stranger.next((frame) => frame["op"] === "hello");
  return stranger;
}

test("published: every example of a frame is accepted, every answer is as published", async () => {
  const [attach] = published.examples.get("attach") ?? [];
  assert.ok(attach !== undefined);
  for (const [op, examples] of published.examples) {
    for (const example of op === "hello" ? [] : examples) {
      const stranger = await greeted();
      if (op !== "attach") {
        stranger.send({ ...(await made(attach)), id: "first" });
        await stranger.next((frame) => frame["op"] === "attached");
      }
      // An example answers entry 7.
      for (let seq = 1; op === "post" && seq <= 8; seq += 1) {
        const [post = {}] = examples;
        stranger.send({ ...(await made(post)), id: `before-${seq}` });
        await stranger.next((frame) => frame["id"] === `before-${seq}` && frame["op"] === "ok");
      }
      const frame = await made(example);
      stranger.send(frame);
      // What has no answer is followed by something that has one.
      const [read = {}] = published.examples.get("read") ?? [];
      const asked = "id" in frame ? frame : { ...read, id: "last" };
      if (asked !== frame) stranger.send(asked);
      const answer = await stranger.next((each) => each["id"] === asked["id"]);
      const good = op === "attach" ? "attached" : "ok";
      assert.equal(answer["op"], good, `${JSON.stringify(frame)} → ${JSON.stringify(answer)}`);
      stranger.close();
    }
  }
});

test("published: what goes wrong is told in published frames too", async () => {
  const stranger = await greeted();
  const [attach = {}] = published.examples.get("attach") ?? [];
  const [post = {}] = published.examples.get("post") ?? [];
  const err = (id: string) => stranger.next((frame) => frame["id"] === id && frame["op"] === "err");
  stranger.send({ ...attach, id: "1" });
  assert.equal((await err("1"))["name"], "TOKEN_INVALID");
  stranger.send({ ...post, id: "2" });
  assert.equal((await err("2"))["name"], "DENIED");
  stranger.send({ ...post, id: "3", body: "x".repeat(20_000) });
  assert.equal((await err("3"))["name"], "TOO_LARGE");
  stranger.send({ ...post, id: "4", key: "no key" });
  assert.equal((await err("4"))["name"], "BAD_FRAME");
  for (let i = 0; i < 100 && stranger.closeCode === 0; i += 1) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.equal(stranger.closeCode, 4400);
});

test("published: every HTTP call, with its example or no right, answers as published", async () => {
  const calls = publishedCalls(await document("openapi.json"));
  assert.ok(calls.length >= 10);
  const code = "ABCD-2345";
  edge.addLogin(shard.directory, code, { user: "ann", name: "Ann", tenant: "", rooms: ["lobby"] });
  const login = await edge.call("POST", "/v1/logins", { code });
  assert.equal(login.status, 201);
  for (const { method, path, security, query, bodies, answers } of calls) {
    const asked = async (right: boolean, body: unknown) => {
      const following = path.endsWith("/stream") ? { wait: "1", after: "0" } : {};
      const about = path.endsWith("/standing") ? { user: "ann" } : {};
      const search = new URLSearchParams({ ...query, ...following, ...about });
      const names = { room: "lobby", user: "bob", shard: shard.config.shard };
      const place = Object.entries(names).reduce((text, [name, value]) => {
        return text.replace(`{${name}}`, value);
      }, path);
      return await fetch(`${edge.url}${place}?${search}`, {
        method,
        headers: {
          ...(right ? { authorization: `Bearer ${edge.apiKey}` } : {}),
          ...(body === null ? {} : { "content-type": "application/json" }),
          "idempotency-key": keyAt(Date.now()),
        },
        ...(body === null ? {} : { body: JSON.stringify(body) }),
      });
    };
    const judged = async (right: boolean, body: unknown) => {
      let response = await asked(right, body);
      // A proof waits for the next signed head of the log.
      for (let i = 0; i < 50 && response.status === 503 && path !== "/readyz"; i += 1) {
        await new Promise((resolve) => setTimeout(resolve, 200));
        response = await asked(right, body);
      }
      const [type = ""] = (response.headers.get("content-type") ?? "").split(";");
      const what = `${method} ${path} ${response.status} ${type}`;
      const judge = answers[String(response.status)]?.[type];
      assert.ok(judge !== undefined, `${what} is not published`);
      const text = await response.text();
      assert.equal(
        judge(type.endsWith("json") && !type.endsWith("ndjson") ? JSON.parse(text) : text),
        null,
        what,
      );
      return response.status;
    };
    const byCookieOnly = security.length > 0 && security.every((each) => "cookie" in each);
    for (const example of bodies) {
      const fields = example as Json | null;
      const body =
        path.endsWith("/events") && fields !== null ? { ...fields, from: "ann" } : fields;
      const status = await judged(true, body);
      if (!byCookieOnly && path !== "/v1/logins") assert.ok(status < 300, `${path}: ${status}`);
      if (security.length > 0) assert.equal(await judged(false, body), 401);
      if (body !== null) assert.equal(await judged(true, [7]), 400);
    }
  }
});
