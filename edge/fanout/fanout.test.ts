// Fan-out against a shard kept in memory: every subscriber gets each entry once, in order, or is
// told of the hole. The shard here loses, repeats, reorders and delays pushes on purpose.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { seqFrom } from "#replica/base/brands.ts";
import { Prng } from "#replica/base/prng.ts";
import { base64From, bytesFromBase64 } from "./base64.ts";
import { Fanout } from "./fanout.ts";
import type { FanoutEffect } from "./fanout.ts";
import { socketEncoding, socketTextFrame, sseEncoding } from "./frame-encoding.ts";
import type { RoomStanding } from "#replica/wire/room-standing.ts";
import type { EntryMark } from "./entry-mark.ts";
import { Outbox, outboxBytesSoft } from "./outbox.ts";
import type { FeedEntry } from "./room-feed.ts";
import type { Since } from "./subscription.ts";

const name = { tenant: "", room: "lobby" };

/** Payloads of whole WebSocket frames that stand one after another. */
function payloads(chunks: readonly Uint8Array[]): Record<string, unknown>[] {
  const bytes = Buffer.concat(chunks);
  const frames: Record<string, unknown>[] = [];
  let at = 0;
  while (at < bytes.length) {
    assert.equal(bytes[at], 0x81);
    const short = bytes[at + 1] ?? 0;
    const head = short < 126 ? 2 : short === 126 ? 4 : 10;
    const length =
      short < 126
        ? short
        : short === 126
          ? bytes.readUInt16BE(at + 2)
          : Number(bytes.readBigUInt64BE(at + 2));
    frames.push(JSON.parse(bytes.toString("utf8", at + head, at + head + length)));
    at += head + length;
  }
  return frames;
}

/** A client that follows the rules of the published guide and checks them. */
class Client {
  readonly outbox: Outbox;
  position: number | null;
  holes: [number, number][] = [];
  got = 0;
  recovered: boolean | null = null;
  heads: number[] = [];

  constructor(nowMs: number, position: number | null = null) {
    this.outbox = new Outbox(socketEncoding, nowMs);
    this.position = position;
  }

  take(bytesMax: number, nowMs: number): void {
    for (const frame of payloads(this.outbox.take(bytesMax, nowMs))) {
      const { op, seq, from, to, next } = frame as Record<string, number> & { op: string };
      if (op === "attached") {
        this.recovered = frame["recovered"] as boolean;
        if (this.recovered) assert.equal(next, (this.position ?? 0) + 1);
        this.position = (next ?? 1) - 1;
      } else if (op === "ev") {
        assert.equal(seq, (this.position ?? 0) + 1, "dense");
        assert.equal(frame["body"], `m${seq}`);
        this.position = seq ?? 0;
        this.got += 1;
      } else if (op === "gap") {
        assert.equal(from, (this.position ?? 0) + 1, "gap begins where the stream stopped");
        this.holes.push([from ?? 0, to ?? 0]);
        this.position = to ?? 0;
      } else if (op === "head") this.heads.push(seq ?? 0);
      else if (op === "skip") this.position = to ?? 0;
    }
  }
}

class Shard {
  head = 0;
  floor = 1;
  epoch = 1;
  readonly fanout = new Fanout(10);
  readonly effects: FanoutEffect[] = [];

  entry(seq: number): FeedEntry {
    return { seq, members: `"seq":${seq},"body":"m${seq}"`, mark: null };
  }

  post(nowMs: number, push = true): void {
    this.head += 1;
    if (push) this.fanout.entries(name, [this.entry(this.head)], nowMs);
  }

  /** Does what the fan-out asked for; `fails` answers some of it with nothing. */
  serve(nowMs: number, fails: () => boolean = () => false): void {
    for (let round = 0; round < 50; round += 1) {
      const effects = this.fanout.drain();
      if (effects.length === 0) return;
      for (const effect of effects) {
        this.effects.push(effect);
        if (effect.kind === "watch") this.watch(nowMs, fails());
        if (effect.kind === "read") this.read(effect.after, nowMs, fails());
      }
    }
  }

  watch(nowMs: number, fails = false): void {
    const answer = {
      code: "ok" as const,
      epoch: this.epoch,
      head: seqFrom(this.head),
      floor: seqFrom(this.floor),
    };
    this.fanout.watched(name, fails ? null : answer, nowMs);
  }

  read(after: number, nowMs: number, fails = false): void {
    const entries: FeedEntry[] = [];
    const first = Math.max(after + 1, this.floor);
    for (let seq = first; seq <= Math.min(this.head, first + 199); seq += 1) {
      entries.push(this.entry(seq));
    }
    const page = fails ? null : { floor: this.floor, head: this.head, entries };
    this.fanout.page(name, after, page, nowMs);
  }

  attach(client: Client, since: Since | null, tail: number, nowMs: number): void {
    const { outbox } = client;
    this.fanout.subscribe({ outbox, id: "1", name, user: null, since, tail }, nowMs);
  }
}

test("fanout: a quiet room's event goes out at once, a busy room's waits for company", () => {
  const shard = new Shard();
  const client = new Client(0);
  shard.attach(client, null, 0, 0);
  shard.serve(0);
  shard.post(100);
  client.take(1e9, 100);
  assert.equal(client.position, 1);
  for (const at of [101, 102, 103]) shard.post(at);
  assert.equal(client.outbox.empty, true);
  shard.fanout.tick(110);
  assert.equal(client.outbox.take(1e9, 110).length, 1, "one buffer for three events");
});

test("fanout: receivers of one encoding share the very same bytes", () => {
  const shard = new Shard();
  const clients = [new Client(0), new Client(0), new Client(0)];
  for (const client of clients) shard.attach(client, null, 0, 0);
  shard.serve(0);
  for (const client of clients) client.take(1e9, 0);
  shard.post(100);
  const [a, b, c] = clients.map((client) => client.outbox.take(1e9, 100)[0]);
  assert.ok(a !== undefined && a === b && b === c);
});

test("fanout: since within reach is recovered whole, else not at all", () => {
  const cases: readonly [Since, boolean][] = [
    [{ epoch: 1, seq: 1500 }, true],
    [{ epoch: 1, seq: 500 }, true],
    [{ epoch: 1, seq: 499 }, false],
    [{ epoch: 1, seq: 1501 }, false],
    [{ epoch: 0, seq: 1499 }, false],
  ];
  for (const [since, recovered] of cases) {
    const shard = new Shard();
    shard.head = 1500;
    const client = new Client(0, since.seq);
    shard.attach(client, since, 0, 0);
    shard.serve(0);
    client.take(1e9, 0);
    assert.equal(client.recovered, recovered, JSON.stringify(since));
    assert.equal(client.position, 1500);
    assert.equal(client.got, recovered ? 1500 - since.seq : 0);
  }
});

test("fanout: a position below the floor is not recovered; tail gives what is kept", () => {
  const shard = new Shard();
  shard.head = 50;
  shard.floor = 41;
  const [late, edge, fresh] = [new Client(0, 39), new Client(0, 40), new Client(0)];
  shard.attach(late, { epoch: 1, seq: 39 }, 0, 0);
  shard.attach(edge, { epoch: 1, seq: 40 }, 0, 0);
  shard.attach(fresh, null, 200, 0);
  shard.serve(0);
  for (const client of [late, edge, fresh]) client.take(1e9, 0);
  assert.deepEqual([late.recovered, edge.recovered, fresh.recovered], [false, true, false]);
  assert.deepEqual([late.got, edge.got, fresh.got], [0, 10, 10]);
});

test("fanout: a slow client loses its queue, gets one gap, and is live again", () => {
  const shard = new Shard();
  const [slow, fast] = [new Client(0), new Client(0)];
  for (const client of [slow, fast]) shard.attach(client, null, 0, 0);
  shard.serve(0);
  slow.take(1e9, 0);
  let now = 0;
  const padding = "x".repeat(4000);
  while (shard.head < 200) {
    now += 20;
    shard.head += 1;
    const seq = shard.head;
    const members = `"seq":${seq},"body":"m${seq}","pad":"${padding}"`;
    shard.fanout.entries(name, [{ seq, members, mark: null }], now);
    fast.take(1e9, now);
    assert.ok(slow.outbox.bytes <= outboxBytesSoft);
  }
  assert.equal(fast.got, 200);
  assert.ok(slow.outbox.droppedCount > 0);
  slow.take(1e9, now);
  shard.fanout.drained(slow.outbox, now);
  shard.post(now + 100);
  slow.take(1e9, now + 100);
  assert.equal(slow.holes.length, 1);
  assert.equal(slow.position, 201);
});

test("fanout: heads are announced 250 ms, 1 s, 5 s, 30 s after an event, then no more", () => {
  const shard = new Shard();
  const client = new Client(0);
  shard.attach(client, null, 0, 0);
  shard.serve(0);
  shard.post(1000);
  const at: number[] = [];
  for (let now = 1000; now < 100_000; now += 50) {
    shard.fanout.tick(now);
    const before = client.heads.length;
    client.take(1e9, now);
    if (client.heads.length > before) at.push(now - 1000);
  }
  assert.deepEqual(at, [250, 1000, 5000, 30_000]);
  assert.deepEqual(client.heads, [1, 1, 1, 1]);
});

test("fanout: a room that does not exist, or whose shard is silent, refuses the attach", () => {
  const shard = new Shard();
  const client = new Client(0);
  shard.attach(client, null, 0, 0);
  shard.fanout.watched(name, { code: "no_room" }, 1);
  const kinds = shard.fanout.drain().map((e) => (e.kind === "refused" ? e.error : e.kind));
  assert.deepEqual(kinds, ["watch", "NO_ROOM", "unwatch"]);
  shard.attach(client, null, 0, 0);
  shard.fanout.watched(name, { code: "not_ready" }, 1);
  for (let now = 0; now <= 6000; now += 50) shard.fanout.tick(now);
  const errors = shard.fanout.drain().filter((e) => e.kind === "refused");
  assert.deepEqual(
    errors.map((e) => e.error),
    ["NO_LEADER"],
  );
});

test("fanout: a restored history detaches everybody with EPOCH_CHANGED", () => {
  const shard = new Shard();
  const client = new Client(0);
  shard.attach(client, null, 0, 0);
  shard.serve(0);
  shard.epoch = 2;
  shard.watch(10);
  const refused = shard.fanout.drain().filter((e) => e.kind === "refused");
  assert.deepEqual(
    refused.map((e) => [e.id, e.error]),
    [["", "EPOCH_CHANGED"]],
  );
});

test("fanout: a room that nobody follows is unwatched after a while and its rid used again", () => {
  const shard = new Shard();
  const client = new Client(0);
  shard.attach(client, null, 0, 0);
  shard.serve(0);
  shard.fanout.leave(client.outbox, 1000);
  shard.fanout.tick(30_999);
  assert.equal(shard.fanout.roomsCount, 1);
  shard.fanout.tick(31_000);
  assert.equal(shard.fanout.roomsCount, 0);
  assert.deepEqual(shard.fanout.drain(), [{ kind: "unwatch", name }]);
});

test("fanout: whatever pushes, reads and clients do: each entry once, in order", () => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const chance = new Prng(seed);
      const shard = new Shard();
      const fails = () => chance.chance(0.2);
      const clients: Client[] = [];
      let now = 0;
      for (let step = 0; step < 400; step += 1) {
        now += chance.below(30);
        const what = chance.below(12);
        if (what < 5) shard.post(now, chance.chance(0.8));
        if (what === 5 && shard.head > 0) {
          const first = chance.between(1, shard.head);
          const last = Math.min(shard.head, first + chance.below(4));
          const again: FeedEntry[] = [];
          for (let seq = first; seq <= last; seq += 1) again.push(shard.entry(seq));
          shard.fanout.entries(name, again, now);
        }
        if (what === 6 && clients.length < 6) {
          const position = chance.chance(0.5) ? chance.below(shard.head + 1) : null;
          const client = new Client(now, position);
          clients.push(client);
          const since = position === null ? null : { epoch: 1, seq: position };
          shard.attach(client, since, chance.below(20), now);
        }
        if (what === 7) shard.watch(now);
        if (what === 8) shard.fanout.tick(now);
        if (what > 8) shard.serve(now, fails);
        for (const client of clients) {
          if (chance.chance(0.7)) client.take(chance.pick([50, 500, 1e9]), now);
          if (client.outbox.empty) shard.fanout.drained(client.outbox, now);
        }
      }
      for (let round = 0; round < 40; round += 1) {
        now += 200;
        shard.watch(now);
        shard.fanout.tick(now);
        shard.serve(now);
        for (const client of clients) {
          client.take(1e9, now);
          shard.fanout.drained(client.outbox, now);
        }
      }
      for (const client of clients) {
        assert.equal(client.position, shard.head);
        assert.deepEqual(client.holes, []);
      }
    }),
    { numRuns: 150 },
  );
});

test("fanout: frames have the three lengths of RFC 6455, and base64 is Node's", () => {
  for (const length of [0, 125, 126, 65_535, 65_536]) {
    const text = JSON.stringify({ x: "y".repeat(Math.max(0, length - 8)) });
    assert.equal(payloads([socketTextFrame(text)]).length, 1);
  }
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const text = Buffer.from(bytes).toString("base64");
      assert.equal(base64From(bytes), text);
      assert.deepEqual(bytesFromBase64(text), bytes);
    }),
  );
  const sse = Buffer.from(sseEncoding.event(1, 2, 3, '"seq":3')).toString();
  assert.equal(sse, 'id: 2:3\nevent: ev\ndata: {"seq":3}\n\n');
});

function standingOf(change: Partial<RoomStanding> = {}): RoomStanding {
  return {
    role: "member",
    bannedUntilUs: 0,
    mutedUntilUs: 0,
    marker: 0,
    mayRead: true,
    staff: false,
    fromSeq: 0,
    ...change,
  };
}

/** A client that is a user of the room. */
function user(shard: Shard, who: string, standing: RoomStanding): Client {
  const client = new Client(0);
  const { outbox } = client;
  shard.fanout.subscribe({ outbox, id: who, name, user: who, since: null, tail: 0 }, 0);
  shard.serve(0);
  shard.fanout.standing(outbox, name, standing, 0);
  shard.serve(0);
  return client;
}

function textsOf(client: Client): readonly string[] {
  return client.outbox.take(1e9, 0).map((bytes) => Buffer.from(bytes).toString());
}

function marked(shard: Shard, mark: Partial<EntryMark>, nowMs: number): void {
  shard.head += 1;
  const entry = shard.entry(shard.head);
  const whole = {
    type: "message",
    parent: 0,
    from: "mod",
    only: null,
    about: null,
    ...mark,
  } as const;
  shard.fanout.entries(name, [{ ...entry, mark: whole }], nowMs);
}

test("fanout: what is for some is a skip for the others, so that nobody misses a seq", () => {
  const shard = new Shard();
  const [mod, eve, ann] = [
    user(shard, "mod", standingOf({ role: "moderator", staff: true })),
    user(shard, "eve", standingOf()),
    user(shard, "ann", standingOf()),
  ];
  for (const client of [mod, eve, ann]) client.outbox.take(1e9, 0);
  marked(shard, { type: "mute", only: "staff", about: "eve" }, 100);
  for (const [client, sees] of [
    [mod, true],
    [eve, true],
    [ann, false],
  ] as const) {
    const text = textsOf(client).join("");
    assert.equal(text.includes('"body":"m1"'), sees);
    assert.equal(text.includes('"op":"skip"') && text.includes('"to":1'), !sees);
  }
});

test("fanout: nothing is told before the shard has said what the user may see", () => {
  const shard = new Shard();
  const client = new Client(0);
  const { outbox } = client;
  shard.fanout.subscribe({ outbox, id: "1", name, user: "ann", since: null, tail: 0 }, 0);
  shard.serve(0);
  shard.post(50);
  assert.equal(outbox.empty, true);
  shard.fanout.standing(outbox, name, standingOf({ mayRead: false, bannedUntilUs: 9 }), 60);
  shard.serve(60);
  assert.equal(outbox.empty, true);
  const refused = shard.effects.filter((effect) => effect.kind === "refused");
  assert.deepEqual(
    refused.map(({ id, error }) => [id, error]),
    [["1", "BANNED"]],
  );
});

test("fanout: a ban that passes asks about whom it is about, and turns them away", () => {
  const shard = new Shard();
  const [eve, ann] = [user(shard, "eve", standingOf()), user(shard, "ann", standingOf())];
  shard.effects.length = 0;
  marked(shard, { type: "ban", only: "staff", about: "eve" }, 100);
  shard.serve(100);
  const asked = shard.effects.flatMap((each) => (each.kind === "standing" ? [each.user] : []));
  assert.deepEqual(asked, ["eve"]);
  shard.fanout.standing(eve.outbox, name, standingOf({ mayRead: false, bannedUntilUs: 9 }), 110);
  shard.post(200);
  shard.serve(200);
  assert.ok(!textsOf(eve).join("").includes('"body":"m2"'));
  assert.ok(textsOf(ann).join("").includes('"body":"m2"'));
});

test("fanout: a redaction empties the entries at hand, so no later client gets the text", () => {
  const shard = new Shard();
  const early = new Client(0);
  shard.attach(early, null, 0, 0);
  shard.serve(0);
  shard.post(10);
  marked(shard, { type: "edit", parent: 1 }, 20);
  marked(shard, { type: "redact", parent: 1 }, 30);
  const late = new Client(0);
  shard.attach(late, { epoch: 1, seq: 0 }, 0, 40);
  shard.serve(40);
  const text = textsOf(late).join("");
  assert.ok(!text.includes('"body":"m1"') && !text.includes('"body":"m2"'), text);
  assert.ok(text.includes('"seq":1,"body":"","redacted":true') && text.includes('"body":"m3"'));
});
