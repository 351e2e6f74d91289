// The per-client state machine: what it answers, what it asks for, when it hangs up.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { clientFrames } from "#edge/api/client-frames.ts";
import { decodeServerFrame } from "#edge/api/decode-frame.ts";
import type { Session } from "#edge/auth/session.ts";
import { edgeLimitsDefault } from "#edge/limit/edge-limits.ts";
import { Connection } from "./connection.ts";
import type { ConnectionEffect } from "./intents.ts";

const key = "019ae0c4-5b1c-7a31-8f0e-3d2c1b0a9f8e";
const session: Session = {
  tenant: "t",
  room: "lobby",
  user: "ann",
  scopes: ["read", "post", "signal"],
  expiresS: 600,
  tokenId: "j",
};

function make(): Connection {
  return new Connection({ conn: "c-1", limits: edgeLimitsDefault, nowMs: 0, fraction: 0.5 });
}

/** Frames sent since the last call; each must follow its schema. */
function sent(connection: Connection): Record<string, unknown>[] {
  return connection.outbox.take(1e9, 0).map((bytes) => {
    const head = (bytes[1] ?? 0) < 126 ? 2 : 4;
    const text = Buffer.from(bytes.subarray(head)).toString();
    const decoded = decodeServerFrame(text);
    assert.ok(decoded.ok, text);
    return decoded.frame as Record<string, unknown>;
  });
}

function say(connection: Connection, frame: object, nowMs = 0): readonly ConnectionEffect[] {
  connection.text(JSON.stringify(frame), nowMs, 1_790_000_000_000_000);
  return connection.drain();
}

function greeted(): Connection {
  const connection = make();
  say(connection, { op: "hello", v: 1, client: "test" });
  assert.equal(sent(connection)[0]?.["op"], "hello");
  return connection;
}

function attachedTo(who: Session = session): Connection {
  const connection = greeted();
  const [verify] = say(connection, { op: "attach", id: "a", room: "lobby", token: "t" });
  assert.equal(verify?.kind, "verify");
  connection.verified(1, { ok: true, session: who }, 0);
  connection.drain();
  connection.attached("lobby");
  return connection;
}

test("connection: the first frame must be hello", () => {
  const connection = make();
  const effects = say(connection, { op: "attach", id: "1", room: "lobby", token: "t" });
  assert.deepEqual(effects, [{ kind: "close", code: 4400, reason: "BAD_FRAME" }]);
  assert.equal(sent(connection)[0]?.["code"], 400);
});

test("connection: what hello presents is proved with an attached room, until it is", () => {
  const root = Buffer.alloc(32, 1).toString("base64");
  const ckpt = `tigerchat.dev/00/lobby/1\n7\n${root}\n`;
  const extensions = (presented: string, proved: boolean): readonly ConnectionEffect[] => {
    const connection = make();
    say(connection, { op: "hello", v: 1, client: "test", ckpt: presented });
    const effects: ConnectionEffect[] = [];
    for (const id of ["1", "2"]) {
      const ticket = Number(id);
      say(connection, { op: "attach", id, room: "lobby", token: "t" });
      connection.verified(ticket, { ok: true, session }, 0);
      connection.drain();
      connection.attached("lobby");
      effects.push(...connection.drain());
      if (proved) connection.extending();
    }
    return effects;
  };
  const from = { origin: "tigerchat.dev/00/lobby/1", size: 7 };
  const wanted = { kind: "extend", name: { tenant: "t", room: "lobby" }, from };
  assert.deepEqual(extensions(ckpt, false), [wanted, wanted]);
  assert.deepEqual(extensions(ckpt, true), [wanted]);
  for (const none of ["", "x", "\n7\n", ckpt.replace("7", "-7"), "a\n1\nroot\n"]) {
    assert.deepEqual(extensions(none, false), [], none);
  }
});

test("connection: no hello, or no room, within 10 s ends it with a reason", () => {
  const silent = make();
  silent.tick(9_999, 0);
  assert.deepEqual(silent.drain(), []);
  silent.tick(10_000, 0);
  assert.deepEqual(silent.drain(), [{ kind: "close", code: 4408, reason: "HELLO_TIMEOUT" }]);
  const refused = greeted();
  say(refused, { op: "attach", id: "1", room: "lobby", token: "t" });
  refused.verified(1, { ok: false, refusal: { error: "TOKEN_EXPIRED" } }, 0);
  refused.tick(10_000, 0);
  assert.deepEqual(refused.drain(), [{ kind: "close", code: 4401, reason: "TOKEN_EXPIRED" }]);
});

test("connection: attach verifies, then subscribes with since and tail", () => {
  const connection = greeted();
  const since = { epoch: 1, seq: 4 };
  say(connection, { op: "attach", id: "1", room: "lobby", token: "tok", since, tail: 5 });
  connection.verified(1, { ok: true, session }, 0);
  assert.deepEqual(connection.drain(), [
    {
      kind: "subscribe",
      id: "1",
      name: { tenant: "t", room: "lobby" },
      user: "ann",
      since,
      tail: 5,
    },
  ]);
  assert.deepEqual(sent(connection), []);
});

test("connection: a token of another room or without read attaches nothing", () => {
  for (const wrong of [
    { ...session, room: "other" },
    { ...session, scopes: ["post" as const] },
  ]) {
    const connection = greeted();
    say(connection, { op: "attach", id: "1", room: "lobby", token: "tok" });
    connection.verified(1, { ok: true, session: wrong }, 0);
    assert.deepEqual(connection.drain(), []);
    assert.equal(sent(connection)[0]?.["name"], "DENIED");
  }
});

test("connection: a post becomes an intent in the session's name, its outcome an answer", () => {
  const connection = attachedTo();
  const [effect] = say(connection, {
    op: "post",
    id: "p",
    room: "lobby",
    key: key.toUpperCase(),
    body: "Grüße",
  });
  assert.ok(effect?.kind === "post");
  assert.equal(effect.post.sender, "ann");
  assert.equal(Buffer.from(effect.post.key).toString("hex"), key.replaceAll("-", ""));
  assert.equal(Buffer.from(effect.post.body).toString(), "Grüße");
  connection.posted(effect.ticket, { ok: true, epoch: 1, seq: 7, timeUs: 9, dup: true });
  const result = { epoch: 1, seq: 7, t: 9, dup: true };
  assert.deepEqual(sent(connection), [{ op: "ok", id: "p", result }]);
});

test("connection: an unknown outcome says so and asks for a retry", () => {
  const connection = attachedTo();
  const [effect] = say(connection, { op: "post", id: "p", room: "lobby", key, body_b64: "AP8=" });
  assert.ok(effect?.kind === "post");
  assert.deepEqual([...effect.post.body], [0, 255]);
  const refusal = { error: "UNKNOWN_OUTCOME" as const, retryMs: 200 };
  connection.posted(effect.ticket, { ok: false, refusal });
  const [answer] = sent(connection);
  assert.equal(answer?.["code"], 504);
  assert.equal(answer?.["retryable"], true);
  assert.equal(answer?.["retry_ms"], 200);
});

test("connection: what the token does not allow is denied, and the connection stays", () => {
  const reader = attachedTo({ ...session, scopes: ["read"] });
  const frames = [
    { op: "post", id: "1", room: "lobby", key, body: "x" },
    { op: "post", id: "2", room: "other", key, body: "x" },
    { op: "read", id: "3", room: "other", after: 0 },
  ];
  for (const frame of frames) assert.deepEqual(say(reader, frame), []);
  assert.deepEqual(say(reader, { op: "signal", room: "lobby", kind: "typing" }), []);
  assert.deepEqual(
    sent(reader).map((frame) => frame["name"]),
    ["DENIED", "DENIED", "DENIED"],
  );
  const [type] = say(attachedTo(), {
    op: "post",
    id: "1",
    room: "lobby",
    key,
    body: "x",
    type: "thread",
  });
  assert.equal(type, undefined);
});

test("connection: each type is posted as the shard wants it, or refused with a reason", () => {
  const good: readonly [object, string, number, string][] = [
    [{ type: "edit", parent: 7, body: "better" }, "edit", 7, "better"],
    [{ type: "redact", parent: 7 }, "redact", 7, ""],
    [{ type: "react", parent: 7, body: "\u{1F44D}" }, "react", 7, "\u{1F44D}"],
    [{ type: "marker", parent: 9 }, "marker", 9, ""],
    [
      { type: "member", body: '{ "role": "moderator", "user": "bob" }' },
      "member",
      0,
      '{"user":"bob","role":"moderator"}',
    ],
    [{ type: "ban", body: '{"until":0,"user":"eve"}' }, "ban", 0, '{"user":"eve","until":0}'],
  ];
  for (const [members, type, parent, body] of good) {
    const [effect] = say(attachedTo(), { op: "post", id: "1", room: "lobby", key, ...members });
    assert.ok(effect?.kind === "post", type);
    const { post } = effect;
    assert.deepEqual(
      [post.type, post.parent, Buffer.from(post.body).toString(), post.authority],
      [type, parent, body, undefined],
    );
  }
  const bad: readonly object[] = [
    { type: "edit", body: "x" },
    { type: "redact" },
    { type: "react", parent: 7, body: "x".repeat(65) },
    { type: "marker", parent: 7, body: "x" },
    { type: "member", body: '{"user":"bob","role":"king"}' },
    { type: "member", parent: 3, body: '{"user":"bob","role":"member"}' },
    { type: "settings", body: "{}" },
    { type: "mute", body: "eve" },
  ];
  for (const members of bad) {
    const connection = attachedTo();
    assert.deepEqual(say(connection, { op: "post", id: "1", room: "lobby", key, ...members }), []);
    const [answer] = sent(connection);
    assert.deepEqual([answer?.["id"], answer?.["name"]], ["1", "BAD_POST"]);
    assert.match(String(answer?.["message"]), /^(An|A|The|Settings) .*\.$/);
  }
});

test("connection: a thread is a log of its own under the room's session", () => {
  const connection = attachedTo();
  const [post] = say(connection, { op: "post", id: "1", room: "lobby", thread: 7, key, body: "x" });
  assert.ok(post?.kind === "post");
  assert.deepEqual(post.post.name, { tenant: "t", room: "lobby/7" });
  say(connection, { op: "attach", id: "2", room: "lobby", thread: 7, token: "t" });
  connection.verified(3, { ok: true, session }, 0);
  const [subscribe] = connection.drain();
  assert.ok(subscribe?.kind === "subscribe");
  assert.deepEqual(subscribe.name, { tenant: "t", room: "lobby/7" });
  connection.refused("", "lobby/7", "BANNED");
  const [answer] = sent(connection);
  assert.deepEqual(
    [answer?.["room"], answer?.["thread"], answer?.["name"]],
    ["lobby", 7, "BANNED"],
  );
  assert.equal(connection.roomsCount, 1);
});

test("connection: posts over the burst are told to wait, and frames in excess end it", () => {
  const connection = attachedTo();
  for (let i = 0; i < 20; i += 1) {
    const frame = { op: "post", id: `p${i}`, room: "lobby", key, body: "x" };
    const [effect] = say(connection, frame);
    assert.ok(effect?.kind === "post");
    connection.posted(effect.ticket, { ok: true, epoch: 1, seq: 1, timeUs: 1, dup: false });
  }
  say(connection, { op: "post", id: "over", room: "lobby", key, body: "x" });
  const last = sent(connection).at(-1);
  assert.deepEqual([last?.["name"], last?.["retry_ms"]], ["RATE_LIMITED", 200]);
  const effects: ConnectionEffect[] = [];
  for (let i = 0; i < 200; i += 1) effects.push(...say(connection, { op: "pong" }));
  assert.deepEqual(effects, [{ kind: "close", code: 4429, reason: "RATE_LIMITED" }]);
});

test("connection: a room is detached 30 s after its token's end, unless refreshed", () => {
  const [lapsed, fresh] = [attachedTo(), attachedTo()];
  say(fresh, { op: "refresh", id: "r", room: "lobby", token: "newer" });
  fresh.verified(2, { ok: true, session: { ...session, expiresS: 1200 } }, 0);
  assert.deepEqual(sent(fresh), [{ op: "ok", id: "r", result: { expires: 1200 } }]);
  assert.deepEqual(fresh.drain(), [{ kind: "recheck", name: { tenant: "t", room: "lobby" } }]);
  for (const connection of [lapsed, fresh]) connection.tick(1, 629);
  assert.deepEqual(lapsed.drain(), []);
  for (const connection of [lapsed, fresh]) connection.tick(2, 630);
  assert.deepEqual(
    lapsed.drain().map((effect) => effect.kind),
    ["unsubscribe"],
  );
  assert.deepEqual(fresh.drain(), []);
  const [frame] = sent(lapsed);
  assert.deepEqual([frame?.["id"], frame?.["room"], frame?.["code"]], ["", "lobby", 401]);
});

test("connection: a refresh for another user is denied", () => {
  const connection = attachedTo();
  say(connection, { op: "refresh", id: "r", room: "lobby", token: "bob" });
  connection.verified(2, { ok: true, session: { ...session, user: "bob" } }, 0);
  assert.equal(sent(connection)[0]?.["name"], "DENIED");
});

test("connection: pings are answered by any frame; silence is cut", () => {
  const connection = attachedTo();
  connection.tick(25_000, 0);
  assert.deepEqual(sent(connection), [{ op: "ping" }]);
  say(connection, { op: "pong" }, 25_100);
  connection.tick(36_000, 0);
  assert.deepEqual(connection.drain(), []);
  connection.tick(50_000, 0);
  assert.deepEqual(sent(connection), [{ op: "ping" }]);
  connection.tick(60_000, 0);
  assert.deepEqual(connection.drain(), [{ kind: "terminate", reason: "no pong" }]);
});

test("connection: any frames in any order are answered by frames that follow the schema", () => {
  const bases = Object.values(clientFrames).flatMap((schema) => {
    return (schema as unknown as { readonly examples: readonly object[] }).examples;
  });
  const mutated = fc
    .tuple(fc.constantFrom(...bases), fc.string(), fc.jsonValue())
    .map(([base, member, value]) => JSON.stringify({ ...base, [member]: value }));
  const texts = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...bases).map((base) => JSON.stringify(base)) },
    { weight: 1, arbitrary: mutated },
    { weight: 1, arbitrary: fc.string() },
  );
  fc.assert(
    fc.property(fc.array(texts, { maxLength: 40 }), (messages) => {
      const connection = greeted();
      let now = 0;
      for (const message of messages) {
        now += 200;
        connection.text(message, now, 0);
        for (const effect of connection.drain()) {
          if (effect.kind === "verify")
            connection.verified(effect.ticket, { ok: true, session }, now);
          if (effect.kind === "subscribe" && effect.tail % 2 === 1) {
            connection.refused(effect.id, effect.name.room, "DENIED");
          }
          if (effect.kind === "post") {
            connection.posted(effect.ticket, { ok: true, epoch: 1, seq: 1, timeUs: 1, dup: false });
          }
        }
        connection.tick(now, 0);
        sent(connection);
      }
      assert.ok(connection.roomsCount <= 2);
    }),
    { numRuns: 100 },
  );
});
