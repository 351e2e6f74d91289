// Three production hosts on virtual time: what the composition adds to consensus and machine.
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { opFrom, seqFrom, viewFrom } from "#replica/base/brands.ts";
import { utf8From } from "#replica/base/text.ts";
import { sha256 } from "#replica/crypto/hash.ts";
import { HostCluster, hostClient } from "#test/support/host-cluster.ts";
import type { ServerMessage } from "#replica/wire/client-message.ts";
import { decodeEntries } from "#replica/wire/entry.ts";
import {
  appendCreateRoom,
  appendPost,
  createRoomBytes,
  postBytes,
  readResult,
} from "#replica/wire/operation.ts";

const connection = 1;
const name = { tenant: "", room: "alpha" };
const nothing = new Uint8Array(0);

/** A client in memory: one session, one request at a time. */
class Client {
  readonly cluster: HostCluster;
  private session = 0;
  private number = 0;

  constructor(cluster: HostCluster) {
    this.cluster = cluster;
  }

  get primary(): number {
    this.cluster.runUntil("a primary", 5_000, () => this.cluster.primary !== null);
    return this.cluster.primary ?? 0;
  }

  connect(): void {
    const host = this.cluster.host(this.primary);
    host.onClientMessage(connection, { kind: "hello", clientId: hostClient, protocol: 1 });
    host.onClientMessage(connection, { kind: "register", clientId: hostClient });
    this.session = this.await("registered").session;
  }

  post(index: number, bodyBytes = 1000): void {
    const key = new Uint8Array(16).fill(index & 255);
    const view = new DataView(key.buffer);
    view.setUint32(12, index);
    const timeMs = 1_800_000_000_000;
    view.setUint16(0, Math.floor(timeMs / 2 ** 32));
    view.setUint32(2, timeMs % 2 ** 32);
    key[6] = 0x70;
    key[8] = 0x80;
    const body = new Uint8Array(bodyBytes).fill(index & 255);
    const names = { tenant: nothing, room: utf8From("alpha"), sender: utf8From("ann") };
    const salt = new Uint8Array(16);
    const fields = { ...names, key, salt, type: "message", parent: 0, body } as const;
    const bytes = new Uint8Array(postBytes(fields));
    appendPost(new DataView(bytes.buffer), bytes, 0, fields);
    strictEqual(readResult(this.request(bytes), 0)?.code, "ok");
  }

  createRoom(): void {
    const fields = { tenant: nothing, room: utf8From("alpha"), creator: utf8From("ann") };
    const bytes = new Uint8Array(createRoomBytes(fields));
    appendCreateRoom(new DataView(bytes.buffer), bytes, 0, fields);
    strictEqual(readResult(this.request(bytes), 0)?.code, "ok");
  }

  read(replica: number, after: number): readonly number[] {
    const host = this.cluster.host(replica);
    const hello = { kind: "hello", clientId: hostClient, protocol: 1 } as const;
    host.onClientMessage(connection, hello);
    const range = { kind: "after", seq: seqFrom(after), limit: 200 } as const;
    host.onClientMessage(connection, { kind: "read", id: 7, name, range });
    const reply = this.await("read_reply");
    strictEqual(reply.answer.code, "ok");
    return (decodeEntries(reply.entries, 200) ?? []).map((entry) => entry.seq);
  }

  private request(body: Uint8Array): Uint8Array {
    this.number += 1;
    const header = {
      session: opFrom(this.session),
      requestNumber: this.number,
      requestChecksum: sha256(body),
      clientId: hostClient,
      operationsCount: 1,
    };
    const host = this.cluster.host(this.primary);
    const viewKnown = viewFrom(0);
    host.onClientMessage(connection, { kind: "request", header, viewKnown, body });
    return this.await("reply").body;
  }

  private await<K extends ServerMessage["kind"]>(kind: K): Extract<ServerMessage, { kind: K }> {
    const { said } = this.cluster;
    let found: ServerMessage | undefined;
    this.cluster.runUntil(kind, 5_000, () => {
      found = said.find((one) => one.message.kind === kind)?.message;
      return found !== undefined;
    });
    said.length = 0;
    return found as Extract<ServerMessage, { kind: K }>;
  }
}

function started(): { readonly cluster: HostCluster; readonly client: Client } {
  const cluster = new HostCluster();
  const client = new Client(cluster);
  client.connect();
  client.createRoom();
  return { cluster, client };
}

function settle(cluster: HostCluster): void {
  const head = cluster.host(cluster.primary ?? 0).replica.head;
  cluster.runUntil("all to follow", 5_000, () =>
    cluster.seats.every(({ host }) => host === null || host.replica.commitMin >= head),
  );
}

test("host: the same events give the same messages, byte for byte of the trace", () => {
  const traces = [0, 1].map(() => {
    const { cluster, client } = started();
    for (let i = 0; i < 30; i += 1) client.post(i);
    settle(cluster);
    return cluster.trace;
  });
  ok((traces[0]?.length ?? 0) > 100);
  deepStrictEqual(traces[0], traces[1]);
});

test("host: checkpoints are at the same ops on all replicas, and survive a restart", () => {
  const { cluster, client } = started();
  for (let i = 0; i < 60; i += 1) client.post(i);
  settle(cluster);
  cluster.run(500);
  const ops = cluster.seats.map(({ host }) => host?.replica.checkpointOp ?? 0);
  ok((ops[0] ?? 0) > 36, `checkpoints at ${ops.join()}`);
  strictEqual(new Set(ops).size, 1);
  const backup = ((cluster.primary ?? 0) + 1) % 3;
  cluster.kill(backup);
  cluster.open(backup);
  client.post(60);
  settle(cluster);
  deepStrictEqual(client.read(backup, 55), [56, 57, 58, 59, 60, 61]);
  deepStrictEqual(cluster.alarms, []);
});

test("host: a replica behind the ring fetches a checkpoint while newer ones appear", () => {
  const { cluster, client } = started();
  for (let i = 0; i < 5; i += 1) client.post(i);
  settle(cluster);
  const away = ((cluster.primary ?? 0) + 1) % 3;
  cluster.kill(away);
  for (let i = 5; i < 120; i += 1) client.post(i);
  cluster.run(300);
  cluster.open(away);
  for (let i = 120; i < 150; i += 1) client.post(i);
  settle(cluster);
  cluster.run(300);
  const checkpoint = cluster.host(away).replica.checkpointOp;
  ok(checkpoint > 100, `its checkpoint is at ${checkpoint}`);
  deepStrictEqual(client.read(away, 147), [148, 149, 150]);
  deepStrictEqual(client.read(away, 0).slice(0, 3), [1, 2, 3]);
});
