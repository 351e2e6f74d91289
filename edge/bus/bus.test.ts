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
import { Hub } from "./hub.ts";
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

  /** Answers the oldest request: the room is another shard's. */
  move(): void {
    this.answer(resultCodes.moved, 0);
  }

  /** Answers the oldest request: seqs from `first` on. */
  commit(first: number): void {
    this.answer(resultCodes.ok, first);
  }

  private answer(code: number, first: number): void {
    const request = this.requests.shift();
    assert.ok(request !== undefined);
    const results = new Uint8Array(request.count * resultBytes);
    const view = new DataView(results.buffer);
    for (let i = 0; i < request.count; i += 1) {
      writeResult(view, i * resultBytes, code, 0, 1, first + i, 1000 + i);
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

/** The outcome of a post whose room has not moved. */
function settled(outcome: PostOutcome | "moved"): PostOutcome {
  assert.ok(outcome !== "moved");
  return outcome;
}

test("bus: posts of one turn are one request, answered each by its own result", async () => {
  const link = new HeldLink();
  const poster = new ShardPoster(link);
  const seqs: number[] = [];
  for (let i = 0; i < 100; i += 1) {
    poster.post(intent(`m${i}`), (outcome) => {
      const here = settled(outcome);
      seqs.push(here.ok ? here.seq : 0);
    });
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
  for (let i = 0; i < 200; i += 1)
    poster.post(intent(body), (each) => outcomes.push(settled(each)));
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
  const note = (outcome: PostOutcome | "moved") => {
    const here = settled(outcome);
    errors.push(here.ok ? "ok" : here.refusal.error);
  };
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

function shardsOf(text: string): { shards: Shards; links: Map<string, HeldLink> } {
  const links = new Map<string, HeldLink>();
  const table = RoutingTable.parse(text);
  assert.ok(table.ok);
  const nothing = () => undefined;
  const tls = { key: "", cert: "", ca: "" };
  const shards = new Shards(table.value, tls, {
    clientId: clientIdFrom("0".repeat(32)),
    events: {
      onEntries: nothing,
      onWatched: nothing,
      onMoved: nothing,
      onPosted: nothing,
      onLog: nothing,
    },
    makeLink: ({ shard }) => {
      const link = new HeldLink();
      links.set(shard.name, link);
      return link;
    },
  });
  return { shards, links };
}

test("bus: a post answered moved is repeated with its key where the new table says", async () => {
  const { shards, links } = shardsOf(routing(1, "a"));
  let reads = 0;
  const hub = new Hub(shards, new DirectBus(shards), 10, () => {
    reads += 1;
    if (reads === 2) shards.reroute(routing(2, "b"));
  });
  const [a, b] = [links.get("a"), links.get("b")];
  const outcomes: (PostOutcome & { readonly body: string })[] = [];
  const post = (body: string) => {
    hub.post(intent(body), (outcome) => outcomes.push({ ...outcome, body }));
  };
  const requests = async (link: HeldLink | undefined, count: number) => {
    for (let i = 0; i < 200 && (link?.requests.length ?? 0) < count; i += 1) await sleep(5);
    assert.equal(link?.requests.length, count);
  };
  post("one");
  await requests(a, 1);
  const first = a?.requests[0]?.operations.slice();
  a?.move();
  post("two");
  await requests(a, 1);
  a?.move();
  await requests(b, 1);
  const again = b?.requests[0]?.operations ?? new Uint8Array();
  assert.equal(b?.requests[0]?.count, 2);
  const keyBytes = Buffer.from(intent("").key);
  assert.ok(first !== undefined && Buffer.from(first).includes(keyBytes));
  assert.ok(Buffer.from(again).includes(keyBytes));
  assert.ok(Buffer.from(again).indexOf("one") < Buffer.from(again).indexOf("two"));
  b?.commit(7);
  assert.deepEqual(
    outcomes.map((outcome) => [outcome.body, outcome.ok ? outcome.seq : 0]),
    [
      ["one", 7],
      ["two", 8],
    ],
  );
  assert.equal(hub.movedCount, 3);
  hub.close();
});

test("bus: a room that stays moved is a definite no in the end, and nothing waits on", async () => {
  const { shards, links } = shardsOf(routing(1, "a"));
  const hub = new Hub(shards, new DirectBus(shards), 10, () => undefined);
  const outcomes: PostOutcome[] = [];
  hub.post(intent("one"), (outcome) => outcomes.push(outcome));
  for (let i = 0; i < 600 && outcomes.length === 0; i += 1) {
    if ((links.get("a")?.requests.length ?? 0) > 0) links.get("a")?.move();
    await sleep(5);
  }
  assert.ok(outcomes[0]?.ok === false && outcomes[0].refusal.error === "NO_LEADER");
  hub.close();
});

test("bus: after a new routing table a room is watched at its new shard", async () => {
  const { shards, links } = shardsOf(routing(1, "a"));
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
