// Goal: a batch is answered exactly once whatever happens to connections and primaries.
// Method: three real client ports; behind them one scripted shard that remembers what it executed.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { connect } from "node:tls";
import { type ClientId, clientIdFrom, opFrom, replicaFrom } from "#replica/base/brands.ts";
import { seqFrom, viewFrom } from "#replica/base/brands.ts";
import { utf8From } from "#replica/base/text.ts";
import { encodeClientMessage } from "#replica/wire/client-codec.ts";
import type { ClientMessage, RoomName } from "#replica/wire/client-message.ts";
import { TestAuthority, type TestIdentity, until } from "#test/support/shard-identities.ts";
import { type ClientConnection, ClientListener, clientQueueBytesMax } from "./client-listener.ts";
import { ShardLink, type ShardLinkOptions, type SubmitOutcome } from "./shard-link.ts";
import { dialOptions } from "./tls-options.ts";

let authority: TestAuthority;
let edge: TestIdentity;
let replicas: readonly TestIdentity[];
const open: { close(): unknown }[] = [];
const clientId = clientIdFrom("c".repeat(32));
const room: RoomName = { tenant: "t", room: "r" };

before(async () => {
  authority = await TestAuthority.create();
  edge = await authority.issue("edge");
  replicas = [
    await authority.issue("lobby/0"),
    await authority.issue("lobby/1"),
    await authority.issue("lobby/2"),
  ];
});
after(async () => {
  for (const item of open) await item.close();
});

/** Three client ports of a shard whose consensus is perfect: what it executed is in `executed`. */
class ScriptedShard {
  view = 0;
  session = 0;
  executed: string[] = [];
  replies = new Map<number, string>();
  mute = false;
  rejectNext: "busy" | "no_session" | null = null;
  readonly listeners: ClientListener[] = [];
  readonly ports: number[] = [];

  static async start(): Promise<ScriptedShard> {
    const shard = new ScriptedShard();
    for (const index of [0, 1, 2]) await shard.listen(index, 0);
    return shard;
  }

  async listen(index: number, port: number): Promise<void> {
    const identity = replicas[index];
    assert(identity);
    const listener = new ClientListener({
      cluster: authority.cluster,
      listen: { host: "127.0.0.1", port },
      tls: identity.tls,
      onMessage: (connection, message) => this.onMessage(index, connection, message),
      onClosed: () => undefined,
    });
    open.push(listener);
    this.listeners[index] = listener;
    this.ports[index] = await listener.listen();
  }

  setView(view: number, normal: readonly number[]): void {
    this.view = view;
    for (const [index, listener] of this.listeners.entries()) {
      for (const connection of listener.connections) {
        this.sendView(connection, view, normal.includes(index));
      }
    }
  }

  connections(index: number): readonly ClientConnection[] {
    return [...(this.listeners[index]?.connections ?? [])];
  }

  private sendView(connection: ClientConnection, view: number, normal: boolean): void {
    const primary = replicaFrom(view % 3);
    connection.send({ kind: "view", view: viewFrom(view), primary, normal });
  }

  private onMessage(index: number, connection: ClientConnection, message: ClientMessage): void {
    switch (message.kind) {
      case "hello":
        this.sendView(connection, this.view, true);
        return;
      case "register":
        this.session += this.session === 0 ? 5 : 0;
        connection.send({ kind: "registered", clientId, session: opFrom(this.session) });
        return;
      case "request":
        this.onRequest(index, connection, message);
        return;
      case "read":
        connection.send({
          kind: "read_reply",
          id: message.id,
          answer: { code: "ok", epoch: 1, head: seqFrom(index), floor: seqFrom(1) },
          entries: utf8From(message.name.room),
        });
        return;
      case "watch": {
        const answer = { code: "ok", epoch: 1, head: seqFrom(9), floor: seqFrom(1) } as const;
        connection.send({ kind: "watched", id: message.id, answer });
        return;
      }
      default:
        return;
    }
  }

  private onRequest(
    index: number,
    connection: ClientConnection,
    message: ClientMessage & { readonly kind: "request" },
  ): void {
    const { session, requestNumber, requestChecksum } = message.header;
    if (this.mute) return;
    const reason = this.refusalOf(index, session, requestNumber);
    if (reason !== null) {
      const view = viewFrom(this.view);
      connection.send({ kind: "reject", session, requestNumber, reason, view, retryMs: 5 });
      return;
    }
    const key = session * 1000 + requestNumber;
    if (!this.replies.has(key)) {
      const text = Buffer.from(message.body).toString();
      this.executed.push(text);
      this.replies.set(key, text);
    }
    const op = opFrom(this.executed.length);
    const body = utf8From(`did ${this.replies.get(key)}`);
    const view = viewFrom(this.view);
    connection.send({ kind: "reply", session, requestNumber, requestChecksum, op, view, body });
  }

  private refusalOf(
    index: number,
    session: number,
    requestNumber: number,
  ): "not_primary" | "busy" | "no_session" | "out_of_order" | null {
    if (index !== this.view % 3) return "not_primary";
    if (this.rejectNext === "no_session") this.session += 10;
    const reason = session === this.session ? this.rejectNext : "no_session";
    this.rejectNext = null;
    if (reason !== null) return reason;
    const key = session * 1000 + requestNumber;
    const inOrder = requestNumber === 1 || this.replies.has(key) || this.replies.has(key - 1);
    return inOrder ? null : "out_of_order";
  }
}

function linkTo(shard: ScriptedShard, more: Partial<ShardLinkOptions> = {}): ShardLink {
  const address = (index: number) => ({ host: "127.0.0.1", port: shard.ports[index] ?? 1 });
  const link = new ShardLink({
    clientId,
    shard: {
      name: "lobby",
      cluster: authority.cluster,
      addresses: [address(0), address(1), address(2)],
    },
    tls: edge.tls,
    resendMs: 200,
    ...more,
  });
  open.push(link);
  return link;
}

function textOf(outcome: SubmitOutcome | undefined): string {
  if (outcome?.kind !== "ok") return outcome?.kind ?? "none";
  return Buffer.from(outcome.results).toString();
}

function submitAll(link: ShardLink, first: number, count: number): Map<number, SubmitOutcome> {
  const outcomes = new Map<number, SubmitOutcome>();
  for (let i = first; i < first + count; i += 1) {
    link.submit(utf8From(`b${i}`), 1, (outcome) => {
      assert(!outcomes.has(i), "answered once");
      outcomes.set(i, outcome);
    });
    assert.equal(outcomes.has(i), false, "never inside the call");
  }
  return outcomes;
}

test("shard link: batches are executed in order, each answered once", async () => {
  const shard = await ScriptedShard.start();
  shard.view = 4;
  const link = linkTo(shard);
  const outcomes = submitAll(link, 0, 30);
  await until("all answered", () => outcomes.size === 30);
  assert.deepEqual(
    shard.executed,
    Array.from({ length: 30 }, (_, i) => `b${i}`),
  );
  for (const [i, outcome] of outcomes) assert.equal(textOf(outcome), `did b${i}`);
  assert.equal(link.view.primary, 1);
  assert.equal(link.inFlightCount + link.queuedCount, 0);
});

test("shard link: a view change re-sends all, and nothing is done twice", async () => {
  const shard = await ScriptedShard.start();
  const link = linkTo(shard);
  await until("ready", () => link.view.primary === 0);
  const warm = submitAll(link, 100, 1);
  await until("session is open", () => warm.size === 1);
  shard.mute = true;
  const outcomes = submitAll(link, 0, 12);
  await until("window is full", () => link.inFlightCount === 8);
  await new Promise((resolve) => setTimeout(resolve, 20));
  await shard.listeners[0]?.close();
  shard.mute = false;
  shard.setView(1, [1, 2]);
  await until("all answered", () => outcomes.size === 12);
  assert.deepEqual(
    shard.executed.slice(1),
    Array.from({ length: 12 }, (_, i) => `b${i}`),
  );
  assert(link.counts.resent >= 8);
});

test("shard link: lost answers, busy and eviction are survived", async () => {
  const shard = await ScriptedShard.start();
  const link = linkTo(shard, { resendMs: 50 });
  const first = submitAll(link, 0, 1);
  await until("first", () => first.size === 1);
  shard.mute = true;
  const second = submitAll(link, 1, 1);
  await new Promise((resolve) => setTimeout(resolve, 30));
  shard.mute = false;
  await until("resent after its time", () => second.size === 1);
  shard.rejectNext = "busy";
  const third = submitAll(link, 2, 3);
  await until("busy was retried", () => third.size === 3);
  assert.deepEqual(shard.executed, ["b0", "b1", "b2", "b3", "b4"]);
  shard.rejectNext = "no_session";
  const fourth = submitAll(link, 5, 1);
  await until("evicted", () => fourth.size === 1);
  assert.equal(fourth.get(5)?.kind, "unknown");
  const fifth = submitAll(link, 6, 1);
  await until("a new session works", () => fifth.size === 1);
  assert.equal(textOf(fifth.get(6)), "did b6");
});

test("shard link: the deadline makes sent batches unknown and unsent ones busy", async () => {
  const shard = await ScriptedShard.start();
  const link = linkTo(shard, { deadlineMs: 150, queueMax: 4 });
  const first = submitAll(link, 0, 1);
  await until("first", () => first.size === 1);
  shard.mute = true;
  const outcomes = submitAll(link, 1, 13);
  await until("all answered", () => outcomes.size === 13);
  const kinds = Array.from({ length: 13 }, (_, i) => outcomes.get(i + 1)?.kind);
  assert.deepEqual(kinds.slice(0, 8), Array(8).fill("unknown"));
  assert.deepEqual(kinds.slice(8), Array(5).fill("rejected"));
  shard.mute = false;
  const later = submitAll(link, 20, 1);
  await until("the session goes on behind the unknown ones", () => later.size === 1);
  assert.equal(textOf(later.get(20)), "did b20");
  assert.equal(shard.executed.length, 10);
});

test("shard link: reads and watches follow the primary; entries reach the watcher", async () => {
  const shard = await ScriptedShard.start();
  const again: string[] = [];
  const entries: string[] = [];
  const link = linkTo(shard, {
    onEntries: (name, bytes) => entries.push(`${name.room} ${Buffer.from(bytes).toString()}`),
    onWatched: (name) => again.push(name.room),
  });
  const answer = await link.watch(room);
  assert.deepEqual(answer, { code: "ok", epoch: 1, head: 9, floor: 1 });
  const range = { kind: "after", seq: seqFrom(0), limit: 10 } as const;
  const read = await link.read(room, range);
  assert(read.kind === "ok");
  assert.equal(Buffer.from(read.entries).toString(), "r");
  const push = (index: number, text: string): void => {
    for (const connection of shard.connections(index)) {
      connection.send({ kind: "entries", name: room, entries: utf8From(text) });
    }
  };
  push(0, "one");
  push(1, "not from the primary");
  await until("entries", () => entries.length === 1);
  shard.setView(1, [0, 1, 2]);
  await until("watched again", () => again.length === 1);
  push(1, "two");
  await until("more entries", () => entries.length === 2);
  assert.deepEqual(entries, ["r one", "r two"]);
  link.unwatch(room);
  link.close();
  assert.equal((await link.read(room, range)).kind, "unavailable");
});

test("shard link: only the right replica serves, only edges are served", async () => {
  const shard = await ScriptedShard.start();
  const swapped = linkTo({ ports: [shard.ports[1], 1, 1] } as unknown as ScriptedShard);
  await until("refused", () => swapped.counts.refusals > 0);
  assert.equal(swapped.view.connected[0], false);
  const asReplica = linkTo(shard, { tls: (replicas[2] ?? edge).tls });
  await until("refused by role", () => shard.listeners.every((l) => l.counts.refusedIdentity > 0));
  assert.equal(asReplica.view.primary, null);
});

test("client port: noise, a frame before hello and a slow reader lose it", async () => {
  const shard = await ScriptedShard.start();
  const dial = async (id: ClientId | null) => {
    const socket = connect(dialOptions(edge.tls, "127.0.0.1", shard.ports[0] ?? 1));
    socket.on("error", () => undefined);
    open.push({ close: () => socket.destroy() });
    socket.resume();
    await new Promise((resolve) => socket.once("secureConnect", resolve));
    if (id !== null) {
      socket.write(encodeClientMessage({ kind: "hello", clientId: id, protocol: 1 }).head);
    }
    return socket;
  };
  const noise = await dial(clientId);
  noise.write(Buffer.alloc(64, 0x41));
  await until("noise is closed", () => noise.destroyed);
  const early = await dial(null);
  early.write(encodeClientMessage({ kind: "unwatch", name: room }).head);
  await until("a frame before hello is closed", () => early.destroyed);

  const slow = await dial(clientId);
  await until("hello", () => shard.connections(0).length === 1);
  slow.pause();
  const [connection] = shard.connections(0);
  const entries = new Uint8Array(200_000);
  const listener = shard.listeners[0];
  assert(connection && listener);
  for (let i = 0; i < 400 && listener.counts.closedSlow === 0; i += 1) {
    connection.send({ kind: "entries", name: room, entries });
    assert(connection.queuedBytes < 2 * clientQueueBytesMax);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(listener.counts.closedSlow, 1);
  await until("gone", () => shard.connections(0).length === 0);
});
