// Goal: whatever connections, primaries and the shard do, a batch is answered exactly once, what
// was answered `ok` was executed once, and a client always gets going again.
// Method: a shard as a small model on virtual time behind three lossy connections; seeds replay.
import assert from "node:assert/strict";
import { test } from "node:test";
import { clientIdFrom, opFrom, type ReplicaIndex, replicaFrom } from "#replica/base/brands.ts";
import { viewFrom } from "#replica/base/brands.ts";
import { sessionWindowMax } from "#replica/base/limits.ts";
import { Prng } from "#replica/base/prng.ts";
import { utf8From } from "#replica/base/text.ts";
import { sha256 } from "#replica/crypto/hash.ts";
import type { ClientMessage, ServerMessage } from "#replica/wire/client-message.ts";
import { ShardClient, type SubmitOutcome } from "./shard-client.ts";

const clientId = clientIdFrom("a".repeat(32));
const all: readonly ReplicaIndex[] = [replicaFrom(0), replicaFrom(1), replicaFrom(2)];

class World {
  readonly prng: Prng;
  readonly client: ShardClient;
  nowMs = 1000;
  calm = false;
  view = 0;
  opLast = 10;
  session = 0;
  numberLast = 0;
  readonly replies = new Map<string, { op: number; text: string }>();
  readonly executed: string[] = [];
  readonly outcomes = new Map<string, SubmitOutcome>();
  readonly tokens = new Map<number, string>();
  private readonly up = [false, false, false];
  private readonly toShard: ClientMessage[][] = [[], [], []];
  private readonly toClient: ServerMessage[][] = [[], [], []];

  constructor(seed: number) {
    this.prng = new Prng(seed);
    const times = { deadlineMs: 400, resendMs: 60, queueMax: 6 };
    this.client = new ShardClient({ clientId, hash: sha256, ...times });
  }

  submit(text: string): void {
    const token = this.client.submit(utf8From(text), 1, this.nowMs);
    this.tokens.set(token, text);
    this.carryOut();
  }

  step(): void {
    this.nowMs += this.prng.below(12);
    for (const replica of all) {
      if (!this.calm && this.prng.chance(0.02)) this.disconnect(replica);
      if (!this.up[replica] && this.prng.chance(this.calm ? 1 : 0.2)) this.connect(replica);
      if (this.prng.chance(0.6)) this.receive(replica);
      if (this.prng.chance(0.6)) this.answer(replica);
    }
    if (!this.calm && this.prng.chance(0.02)) this.viewChange();
    if (!this.calm && this.prng.chance(0.005)) this.evict();
    if (this.client.wakeAtMs <= this.nowMs) this.client.tick(this.nowMs);
    this.carryOut();
    assert(this.client.inFlightCount <= sessionWindowMax);
  }

  private connect(replica: ReplicaIndex): void {
    this.up[replica] = true;
    this.client.onConnected(replica, this.nowMs);
    this.tellView(replica);
  }

  private disconnect(replica: ReplicaIndex): void {
    if (!this.up[replica]) return;
    this.up[replica] = false;
    this.toShard[replica] = [];
    this.toClient[replica] = [];
    this.client.onDisconnected(replica, this.nowMs);
  }

  private tellView(replica: ReplicaIndex): void {
    const primary = replicaFrom(this.view % 3);
    this.send(replica, { kind: "view", view: viewFrom(this.view), primary, normal: true });
  }

  private viewChange(): void {
    this.view += 1 + this.prng.below(2);
    for (const replica of all) if (this.up[replica]) this.tellView(replica);
  }

  private evict(): void {
    this.session = 0;
    this.replies.clear();
  }

  private send(replica: ReplicaIndex, message: ServerMessage): void {
    if (this.up[replica]) this.toClient[replica]?.push(message);
  }

  private answer(replica: ReplicaIndex): void {
    const message = this.toClient[replica]?.shift();
    if (message !== undefined) this.client.onMessage(replica, message, this.nowMs);
    this.carryOut();
  }

  private carryOut(): void {
    for (const effect of this.client.drain()) {
      if (effect.kind === "send") {
        if (this.up[effect.to]) this.toShard[effect.to]?.push(effect.message);
        continue;
      }
      const text = this.tokens.get(effect.token) ?? `${effect.token}`;
      assert(!this.outcomes.has(text), "answered once");
      this.outcomes.set(text, effect.outcome);
    }
  }

  private receive(replica: ReplicaIndex): void {
    const message = this.toShard[replica]?.shift();
    if (message?.kind === "register") {
      if (replica !== this.view % 3) return;
      if (this.session === 0) {
        this.opLast += 1;
        this.session = this.opLast;
        this.numberLast = 0;
      }
      this.send(replica, { kind: "registered", clientId, session: opFrom(this.session) });
    } else if (message?.kind === "request") {
      this.execute(replica, message);
    }
  }

  private execute(
    replica: ReplicaIndex,
    message: ClientMessage & { readonly kind: "request" },
  ): void {
    const { session, requestNumber, requestChecksum } = message.header;
    const view = viewFrom(this.view);
    const reject = (
      reason: "not_primary" | "busy" | "no_session" | "out_of_order" | "request_mismatch",
    ): void =>
      this.send(replica, { kind: "reject", session, requestNumber, reason, view, retryMs: 9 });
    const key = `${session} ${requestNumber}`;
    const mood = this.calm ? 1 : this.prng.fraction();
    if (replica !== this.view % 3) reject("not_primary");
    else if (session !== this.session) reject("no_session");
    else if (mood < 0.1) reject("busy");
    else if (mood < 0.2) return;
    else if (requestNumber > this.numberLast + 1) reject("out_of_order");
    else {
      const text = new TextDecoder().decode(message.body);
      if (requestNumber === this.numberLast + 1) {
        this.opLast += 1;
        this.numberLast = requestNumber;
        this.executed.push(text);
        this.replies.set(key, { op: this.opLast, text });
      }
      const stored = this.replies.get(key);
      // A shard keeps the last W replies; an older number is a late copy of an answered request.
      if (requestNumber <= this.numberLast - sessionWindowMax) return;
      if (stored?.text !== text) reject("request_mismatch");
      else {
        const reply = { session, requestNumber, requestChecksum, op: opFrom(stored.op), view };
        this.send(replica, { kind: "reply", ...reply, body: utf8From(text) });
      }
    }
  }
}

test("client: 300 seeds of lost connections, view changes and evictions answer all once", () => {
  let unknown = 0;
  let done = 0;
  for (let seed = 0; seed < 300; seed += 1) {
    const world = new World(seed);
    let submitted = 0;
    for (let step = 0; step < 400; step += 1) {
      if (world.prng.chance(0.25)) {
        world.submit(`batch ${submitted}`);
        submitted += 1;
      }
      world.step();
    }
    world.calm = true;
    for (let step = 0; step < 200; step += 1) world.step();
    world.submit("last");
    for (let step = 0; step < 200; step += 1) world.step();
    assert.equal(world.outcomes.size, submitted + 1, `seed ${seed}: all answered`);
    assert.equal(world.outcomes.get("last")?.kind, "ok", `seed ${seed}: alive again`);
    assert.equal(new Set(world.executed).size, world.executed.length, `seed ${seed}: once`);
    const executed = new Set(world.executed);
    for (const [text, outcome] of world.outcomes) {
      if (outcome.kind === "ok") assert(executed.has(text), `seed ${seed}: ok means executed`);
      if (outcome.kind === "rejected") {
        assert(!executed.has(text), `seed ${seed}: rejected means not executed`);
        assert.notEqual(outcome.reason, "request_mismatch", `seed ${seed}`);
      }
      if (outcome.kind === "unknown") unknown += 1;
      else done += 1;
    }
  }
  assert(unknown > 100 && done > 10_000, `the runs cover both: ${unknown}, ${done}`);
});

test("client: batches over the limits and after close are refused, definitely", () => {
  const options = { clientId, hash: sha256, deadlineMs: 100, resendMs: 50, queueMax: 1 };
  const client = new ShardClient(options);
  const outcomes = (): readonly string[] =>
    client.drain().map((effect) => {
      assert(effect.kind === "done");
      return effect.outcome.kind === "rejected" ? effect.outcome.reason : effect.outcome.kind;
    });
  client.submit(new Uint8Array(97 * 1024), 1, 0);
  client.submit(new Uint8Array(1), 5000, 0);
  assert.deepEqual(outcomes(), ["too_large", "too_large"]);
  client.submit(new Uint8Array(1), 1, 0);
  client.submit(new Uint8Array(1), 1, 0);
  assert.deepEqual(outcomes(), ["busy"]);
  assert.equal(client.wakeAtMs, 100);
  client.close();
  client.submit(new Uint8Array(1), 1, 0);
  assert.deepEqual(outcomes(), ["closed", "closed"]);
});

test("client: a primary that refused for a moment and says nothing new is asked again", () => {
  const times = { deadlineMs: 400, resendMs: 60, queueMax: 6 };
  const client = new ShardClient({ clientId, hash: sha256, ...times });
  const [primary] = all;
  assert(primary !== undefined);
  const sent = (): readonly string[] => {
    return client
      .drain()
      .flatMap((effect) => (effect.kind === "send" ? [effect.message.kind] : []));
  };
  client.onConnected(primary, 0);
  client.onMessage(primary, { kind: "view", view: viewFrom(0), primary, normal: true }, 0);
  client.tick(0);
  assert.deepEqual(sent(), ["register"]);
  const refusal = { session: opFrom(0), requestNumber: 0, reason: "not_primary" } as const;
  client.onMessage(primary, { kind: "reject", ...refusal, view: viewFrom(0), retryMs: 0 }, 1);
  assert.deepEqual(sent(), []);
  assert.ok(client.wakeAtMs < 60);
  client.tick(client.wakeAtMs);
  assert.deepEqual(sent(), ["register"]);
});
