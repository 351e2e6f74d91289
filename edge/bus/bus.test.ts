// Batching of posts towards a shard, and watches that follow the routing table.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";
import type { PostIntent, PostOutcome } from "#edge/connection/intents.ts";
import { RoutingTable } from "#edge/routing/routing-table.ts";
import { clientIdFrom, opFrom, seqFrom, viewFrom } from "#replica/base/brands.ts";
import { requestBodyBytesMax, sessionWindowMax } from "#replica/base/limits.ts";
import type { ReadOutcome, ShardLinkPort, SubmitOutcome } from "#replica/transport/shard-link.ts";
import type { RoomAnswer, RoomName } from "#replica/wire/client-message.ts";
import {
  resultBytes,
  resultCodes,
  validateOperations,
  writeResult,
} from "#replica/wire/operation.ts";
import { DirectBus } from "./direct-bus.ts";
import { ShardPoster } from "./shard-poster.ts";
import { Shards } from "./shards.ts";

interface Request {
  readonly operations: Uint8Array;
  readonly count: number;
  readonly done: (outcome: SubmitOutcome) => void;
}

/** A link whose requests the test answers by hand. */
class HeldLink implements ShardLinkPort {
  readonly inFlightCount = 0;
  readonly queuedCount = 0;
  readonly ready = true;
  readonly view = { view: viewFrom(0), primary: null, connected: [true, true, true] as const };
  readonly counts = {
    submitted: 0,
    completed: 0,
    unknown: 0,
    rejected: 0,
    resent: 0,
    connects: 0,
    refusals: 0,
  };
  readonly requests: Request[] = [];
  readonly watched: string[] = [];
  closed = false;

  submit(operations: Uint8Array, count: number, done: Request["done"]): void {
    this.requests.push({ operations, count, done });
  }

  read(): Promise<ReadOutcome> {
    return Promise.resolve({ kind: "unavailable" });
  }

  watch(name: RoomName): Promise<RoomAnswer> {
    this.watched.push(name.room);
    return Promise.resolve({ code: "ok", epoch: 1, head: seqFrom(0), floor: seqFrom(1) });
  }

  unwatch(name: RoomName): void {
    this.watched.splice(this.watched.indexOf(name.room), 1);
  }

  setTls(): void {}

  close(): void {
    this.closed = true;
  }

  /** Answers the oldest request: seqs from `first` on. */
  commit(first: number): void {
    const request = this.requests.shift();
    assert.ok(request !== undefined);
    const results = new Uint8Array(request.count * resultBytes);
    const view = new DataView(results.buffer);
    for (let i = 0; i < request.count; i += 1) {
      writeResult(view, i * resultBytes, resultCodes.ok, 0, 1, first + i, 1000 + i);
    }
    request.done({ kind: "ok", op: opFrom(1), results });
  }
}

function intent(body: string): PostIntent {
  const key = new Uint8Array(16).fill(7);
  key[6] = 0x70;
  key[8] = 0x80;
  const name = { tenant: "", room: "lobby" };
  return { name, sender: "ann", key, type: "message", parent: 0, body: Buffer.from(body) };
}

test("bus: posts of one turn are one request, answered each by its own result", async () => {
  const link = new HeldLink();
  const poster = new ShardPoster(link);
  const seqs: number[] = [];
  for (let i = 0; i < 100; i += 1) {
    poster.post(intent(`m${i}`), (outcome) => seqs.push(outcome.ok ? outcome.seq : 0));
  }
  assert.equal(link.requests.length, 0);
  await turn();
  assert.equal(link.requests.length, 1);
  const operations = link.requests[0]?.operations ?? new Uint8Array();
  assert.deepEqual(validateOperations(operations), { ok: true, value: 100 });
  link.commit(1);
  assert.deepEqual(
    seqs,
    Array.from({ length: 100 }, (_, index) => index + 1),
  );
  assert.equal(poster.pendingCount, 0);
});

test("bus: requests keep their size, eight are in flight, a full queue is refused", async () => {
  const link = new HeldLink();
  const poster = new ShardPoster(link);
  const outcomes: PostOutcome[] = [];
  const body = "x".repeat(16_000);
  for (let i = 0; i < 200; i += 1) poster.post(intent(body), (outcome) => outcomes.push(outcome));
  await sleep(20);
  assert.equal(link.requests.length, sessionWindowMax);
  for (const { operations, count } of link.requests) {
    assert.ok(operations.length <= requestBodyBytesMax);
    assert.deepEqual(validateOperations(operations), { ok: true, value: count });
  }
  const refusals = outcomes.filter((outcome) => !outcome.ok);
  assert.ok(refusals.length > 0 && refusals.length < 200);
  assert.ok(refusals.every((outcome) => !outcome.ok && outcome.refusal.error === "NO_LEADER"));
  let first = 1;
  while (link.requests.length > 0) {
    const count = link.requests[0]?.count ?? 0;
    link.commit(first);
    first += count;
    await sleep(2);
  }
  const seqs = outcomes.flatMap((outcome) => (outcome.ok ? [outcome.seq] : []));
  assert.deepEqual(
    seqs,
    Array.from({ length: 200 - refusals.length }, (_, index) => index + 1),
  );
});

test("bus: an unknown outcome and a definite no are told apart", async () => {
  const link = new HeldLink();
  const poster = new ShardPoster(link);
  const errors: string[] = [];
  const note = (outcome: PostOutcome) => errors.push(outcome.ok ? "ok" : outcome.refusal.error);
  poster.post(intent("a"), note);
  await turn();
  link.requests.shift()?.done({ kind: "unknown" });
  poster.post(intent("b"), note);
  await turn();
  link.requests.shift()?.done({ kind: "rejected", reason: "busy", retryMs: 10 });
  poster.post(intent("c"), note);
  await turn();
  link.requests.shift()?.done({ kind: "ok", op: opFrom(1), results: new Uint8Array(3) });
  assert.deepEqual(errors, ["UNKNOWN_OUTCOME", "NO_LEADER", "UNKNOWN_OUTCOME"]);
  assert.equal(poster.counts.unknown, 1);
});

const cluster = "0".repeat(32);
const addresses = [1, 2, 3].map((port) => ({ host: "127.0.0.1", port }));

function routing(epoch: number, shard: string): string {
  return JSON.stringify({
    fleet: "default",
    cluster,
    epoch,
    shards: [
      { name: "a", addresses },
      { name: "b", addresses },
    ],
    slots: [{ tenant: "", first: 0, count: 4096, shard, epoch: 1 }],
  });
}

test("bus: after a new routing table a room is watched at its new shard", async () => {
  const links = new Map<string, HeldLink>();
  const table = RoutingTable.parse(routing(1, "a"));
  assert.ok(table.ok);
  const nothing = () => undefined;
  const shards = new Shards(
    table.value,
    { key: "", cert: "", ca: "" },
    {
      clientId: clientIdFrom("0".repeat(32)),
      events: { onEntries: nothing, onWatched: nothing, onPosted: nothing, onLog: nothing },
      makeLink: ({ shard }) => {
        const link = new HeldLink();
        links.set(shard.name, link);
        return link;
      },
    },
  );
  const bus = new DirectBus(shards);
  const name = { tenant: "", room: "lobby" };
  await bus.watch(name);
  assert.deepEqual(links.get("a")?.watched, ["lobby"]);
  assert.deepEqual(shards.reroute(routing(1, "b")), { ok: false, reason: "stale" });
  assert.equal(shards.of(name)?.name, "a");
  assert.equal(shards.reroute(routing(2, "b")).ok, true);
  assert.equal(shards.of(name)?.name, "b");
  await bus.watch(name);
  assert.deepEqual([links.get("a")?.watched, links.get("b")?.watched], [[], ["lobby"]]);
  assert.equal(shards.ready, false);
  shards.close();
  assert.ok([...links.values()].every((link) => link.closed));
});
