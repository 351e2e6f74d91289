// Goal: only the shard's members get a word in, each as itself; what they say arrives once.
// Method: real sockets and certificates on 127.0.0.1; a hostile peer speaks raw TLS.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { connect, type TLSSocket } from "node:tls";
import { opFrom, replicaFrom, viewFrom } from "#replica/base/brands.ts";
import { bytesFromHex, writeU64 } from "#replica/base/bytes.ts";
import { headerBytes } from "#replica/base/limits.ts";
import { signEd25519 } from "#replica/crypto/ed25519.ts";
import { sha256 } from "#replica/crypto/hash.ts";
import {
  dataViewOf,
  type FrameScope,
  frameAt,
  frameScopeFrom,
  sealFrame,
  writeFrameStart,
} from "#replica/wire/frame.ts";
import { encodePeerMessage } from "#replica/wire/peer-codec.ts";
import type { PeerMessage } from "#replica/wire/peer-message.ts";
import {
  freePort,
  memberOf,
  ownKeyOf,
  TestAuthority,
  type TestIdentity,
  until,
} from "#test/support/shard-identities.ts";
import { sealedPrepare } from "#test/support/sealed-prepare.ts";
import { PeerNetwork } from "./peer-network.ts";
import { dialOptions, type TlsMaterial } from "./tls-options.ts";

let authority: TestAuthority;
let identities: readonly TestIdentity[];
let scope: FrameScope;

before(async () => {
  authority = await TestAuthority.create();
  identities = [
    await authority.issue("lobby/0"),
    await authority.issue("lobby/1"),
    await authority.issue("lobby/2"),
  ];
  scope = frameScopeFrom({ cluster: authority.cluster, shard: "lobby", hash: sha256 });
});

const open: { close(): unknown }[] = [];
after(async () => {
  for (const item of open) await item.close();
});

type PrepareOk = Extract<PeerMessage, { kind: "prepare_ok" }>;

interface Node {
  readonly network: PeerNetwork;
  readonly received: PeerMessage[];
  readonly refused: number[];
  readonly log: string[];
}

async function startNode(
  index: number,
  ports: readonly number[],
  tls?: TlsMaterial,
  wantsAck?: (ack: PrepareOk) => boolean,
): Promise<Node> {
  const received: PeerMessage[] = [];
  const refused: number[] = [];
  const log: string[] = [];
  const identity = identityOf(index);
  const address = (i: number) => ({ host: "127.0.0.1", port: ports[i] ?? 1 });
  const network = new PeerNetwork({
    self: memberOf(index, identity),
    cluster: authority.cluster,
    shard: "lobby",
    addresses: [address(0), address(1), address(2)],
    listen: address(index),
    members: identities.map((item, i) => memberOf(i, item)),
    keys: [ownKeyOf(identity, tls ?? identity.tls)],
    onMessage: (message) => received.push(message),
    ...(wantsAck === undefined ? {} : { wantsAck }),
    onRefused: (peer) => refused.push(peer),
    onLog: (what, facts) => log.push(`${what} ${JSON.stringify(facts)}`),
  });
  open.push(network);
  await network.listen();
  return { network, received, refused, log };
}

function identityOf(index: number): TestIdentity {
  const identity = identities[index];
  assert(identity);
  return identity;
}

function getView(from: number, nonce: number): PeerMessage {
  const { replica, incarnation } = memberOf(from, identityOf(from));
  return { kind: "get_view", from: replica, incarnation, view: viewFrom(7), nonce };
}

/** A member's key in the hands of somebody who does as he likes with the bytes. */
class Hostile {
  readonly socket: TLSSocket;
  private readonly identity: TestIdentity;
  private nonce: Uint8Array | null = null;
  private buffered = Buffer.alloc(0);

  private constructor(socket: TLSSocket, identity: TestIdentity) {
    this.socket = socket;
    this.identity = identity;
  }

  static async dial(port: number, tls: TlsMaterial, identity: TestIdentity): Promise<Hostile> {
    const socket = connect(dialOptions(tls, "127.0.0.1", port));
    socket.on("error", () => undefined);
    await new Promise((resolve) => {
      socket.once("secureConnect", resolve);
      socket.once("close", resolve);
    });
    const hostile = new Hostile(socket, identity);
    open.push({ close: () => socket.destroy() });
    socket.on("data", (chunk: Buffer) => {
      hostile.buffered = Buffer.concat([hostile.buffered, chunk]);
      if (hostile.buffered.length >= 16 + headerBytes) {
        hostile.nonce ??= hostile.buffered.subarray(16 + frameAt.fields, 16 + frameAt.fields + 32);
      }
    });
    return hostile;
  }

  hello(replica: number, incarnation: string): void {
    const header = new Uint8Array(headerBytes);
    writeFrameStart(scope, header, {
      command: "hello",
      replica,
      incarnation: memberOf(0, identityOf(0)).incarnation,
      view: 0,
      bodyBytes: 0,
      bodyChecksum: scope.emptyChecksum,
    });
    header.set(bytesFromHex(incarnation), frameAt.incarnation);
    sealFrame(scope, header);
    const exporter = this.socket.exportKeyingMaterial(
      32,
      "EXPORTER-tigerchat-peer",
      Buffer.alloc(0),
    );
    const message = Buffer.concat([header.subarray(0, 32), exporter, Buffer.alloc(8)]);
    header.set(signEd25519(this.identity.key.privateKey, message), frameAt.signature);
    this.socket.write(Buffer.concat([Buffer.alloc(16), header]));
  }

  async ready(): Promise<void> {
    await until("the hello of the replica arrives", () => this.nonce !== null);
  }

  /** A record as an honest peer would send it. */
  record(message: PeerMessage, counter: number): Buffer {
    const { header, body } = encodePeerMessage(scope, message);
    const prefix = new Uint8Array(16);
    writeU64(dataViewOf(prefix), 0, counter);
    assert(this.nonce);
    const signed = Buffer.concat([header.subarray(0, 32), this.nonce, prefix.subarray(0, 8)]);
    header.set(signEd25519(this.identity.key.privateKey, signed), frameAt.signature);
    return Buffer.concat([prefix, header, body]);
  }
}

async function threePorts(): Promise<readonly number[]> {
  return [await freePort(), await freePort(), await freePort()];
}

test("transport: three replicas find each other and every pair talks both ways", async () => {
  const ports = await threePorts();
  const nodes = [await startNode(0, ports), await startNode(1, ports), await startNode(2, ports)];
  for (const [i, node] of nodes.entries()) {
    for (const peer of [0, 1, 2].filter((p) => p !== i)) {
      await until(`${i} sees ${peer}`, () => node.network.connected(replicaFrom(peer)));
      node.network.send(replicaFrom(peer), getView(i, 10 * i + peer));
    }
  }
  for (const [i, node] of nodes.entries()) {
    await until(`${i} has two`, () => node.received.length === 2);
    const nonces = node.received.map((m) => (m.kind === "get_view" ? m.nonce : -1));
    assert.deepEqual(
      nonces.sort((a, b) => a - b),
      [0, 1, 2].filter((p) => p !== i).map((p) => 10 * p + i),
    );
    assert.equal(node.received[0]?.view, 7);
  }
});

test("transport: a peer's death is told to both sides, by the refusal of its port", async () => {
  const ports = await threePorts();
  const nodes = [await startNode(0, ports), await startNode(1, ports), await startNode(2, ports)];
  const [first, middle, last] = nodes;
  assert(first && middle && last);
  await until("all up", () =>
    nodes.every((n, i) => [0, 1, 2].every((p) => p === i || n.network.connected(replicaFrom(p)))),
  );
  await middle.network.close();
  await until("both know", () => first.refused.includes(1) && last.refused.includes(1));
  assert.deepEqual([first.refused, last.refused], [[1], [1]]);
});

test("transport: an ack that nobody wants is dropped unread, every other one arrives", async () => {
  const ports = await threePorts();
  const node = await startNode(0, ports, undefined, ({ op }) => op > 5);
  const peer = await startNode(1, ports);
  await until("up", () => peer.network.connected(replicaFrom(0)));
  const { replica, incarnation } = memberOf(1, identityOf(1));
  const envelope = { from: replica, incarnation, view: viewFrom(7) };
  const checksum = "0".repeat(64) as PrepareOk["checksum"];
  const ack = { kind: "prepare_ok", checksum, commitMin: opFrom(0), checkpointOp: opFrom(0) };
  for (const op of [4, 5, 6, 5, 7]) {
    peer.network.send(replicaFrom(0), { ...envelope, ...ack, op: opFrom(op) } as PrepareOk);
  }
  await until("acks came", () => node.received.length === 2);
  assert.deepEqual(
    node.received.map((message) => (message.kind === "prepare_ok" ? message.op : null)),
    [6, 7],
  );
  assert.equal(node.network.counts(replicaFrom(1)).acksSkipped, 3);
});

test("transport: certificates of another shard, replica, role or key get no word in", async () => {
  const ports = await threePorts();
  const node = await startNode(0, ports);
  const port = ports[0] ?? 0;
  const attempts: readonly (readonly [string, TestIdentity])[] = [
    ["other shard", await authority.issue("attic/2")],
    ["other cluster", await authority.issue("lobby/2", "f".repeat(32))],
    ["edge", await authority.issue("edge")],
    ["right name, other key", await authority.issue("lobby/2")],
    ["itself", identityOf(0)],
  ];
  for (const [what, identity] of attempts) {
    const hostile = await Hostile.dial(port, identity.tls, identity);
    if (!hostile.socket.destroyed) hostile.hello(2, identityOf(2).key.incarnation);
    await until(`${what} is closed`, () => hostile.socket.destroyed);
  }
  const stranger = await TestAuthority.create();
  const foreign = await stranger.issue("lobby/2");
  const ca = identityOf(2).tls.ca;
  const hostile = await Hostile.dial(port, { ...foreign.tls, ca }, foreign);
  await until("a foreign authority's is closed", () => hostile.socket.destroyed);
  assert.equal(node.received.length, 0);
  assert.equal(node.network.connected(replicaFrom(2)), false);
});

test("transport: replayed, forged, flipped and stale frames are dropped and counted", async () => {
  const ports = await threePorts();
  const node = await startNode(0, ports);
  const hostile = await Hostile.dial(ports[0] ?? 0, identityOf(2).tls, identityOf(2));
  hostile.hello(2, identityOf(2).key.incarnation);
  await hostile.ready();
  const counts = node.network.counts(replicaFrom(2));
  const good = hostile.record(getView(2, 1), 1);
  hostile.socket.write(good);
  await until("a good frame arrives", () => node.received.length === 1);
  hostile.socket.write(good);
  await until("its replay is counted", () => counts.refusedReplay === 1);

  const flipped = Buffer.from(hostile.record(getView(2, 2), 2));
  flipped.writeUInt8(flipped.readUInt8(16 + 300) ^ 1, 16 + 300);
  hostile.socket.write(flipped);
  await until("a flipped byte is counted", () => counts.refusedFrame === 1);

  const recounted = Buffer.from(good);
  recounted.writeUInt8(9, 0);
  hostile.socket.write(recounted);
  await until("another counter breaks the signature", () => counts.refusedSignature === 1);

  hostile.socket.write(hostile.record(getView(1, 3), 3));
  await until("another's name is refused", () => counts.refusedStale === 1);
  hostile.socket.write(hostile.record(getView(2, 4), 4));
  await until("the link still works", () => node.received.length === 2);
  assert(node.log.some((line) => line.includes("refusedReplay") && line.includes('"peer":2')));
});

test("transport: oversize frames end a connection; a stale one never begins", async () => {
  const ports = await threePorts();
  const node = await startNode(0, ports);
  const stale = await Hostile.dial(ports[0] ?? 0, identityOf(2).tls, identityOf(2));
  stale.hello(2, "0".repeat(32));
  await until("a stale hello is closed", () => stale.socket.destroyed);
  assert.equal(node.network.counts(replicaFrom(2)).refusedStale, 1);

  const hostile = await Hostile.dial(ports[0] ?? 0, identityOf(2).tls, identityOf(2));
  hostile.hello(2, identityOf(2).key.incarnation);
  await hostile.ready();
  const record = hostile.record(getView(2, 1), 1);
  record.writeUInt32LE(300 * 1024, 16 + frameAt.size);
  hostile.socket.write(record);
  await until("an oversize frame ends it", () => hostile.socket.destroyed);
  assert.equal(node.received.length, 0);
});

test("transport: a peer that does not read loses frames, not the sender's memory", async () => {
  const ports = await threePorts();
  const node = await startNode(0, ports);
  const hostile = await Hostile.dial(ports[0] ?? 0, identityOf(2).tls, identityOf(2));
  hostile.hello(2, identityOf(2).key.incarnation);
  await hostile.ready();
  await until("connected", () => node.network.connected(replicaFrom(2)));
  hostile.socket.pause();
  const { replica, incarnation } = memberOf(0, identityOf(0));
  const chunk: PeerMessage = {
    kind: "chunk",
    from: replica,
    incarnation,
    view: viewFrom(1),
    checkpointId: sha256(new Uint8Array(1)),
    segment: "s-1",
    block: 0,
    bytes: new Uint8Array(100 * 1024),
  };
  const counts = node.network.counts(replicaFrom(2));
  for (let i = 0; i < 400 && counts.droppedFull === 0; i += 1) {
    node.network.send(replicaFrom(2), chunk);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert(counts.droppedFull > 0, "the queue is bounded");
  assert(counts.bytesSent < 32 * 1024 * 1024);
});

test("transport: certificates rotate under links; a relay keeps the author", async () => {
  const ports = await threePorts();
  const nodes = [await startNode(0, ports), await startNode(1, ports)];
  const [low, high] = nodes;
  assert(low && high);
  await until("up", () => high.network.connected(replicaFrom(0)));
  high.network.setKeys([ownKeyOf(identityOf(1), identityOf(1).tls)]);
  low.network.setKeys([ownKeyOf(identityOf(0), identityOf(0).tls)]);
  const author = memberOf(2, identityOf(2));

  const prepare = sealedPrepare(scope, author, identityOf(2).key.privateKey, opFrom(5), 20_000);
  const { replica, incarnation } = memberOf(1, identityOf(1));
  const message = { from: replica, incarnation, view: viewFrom(9), kind: "prepare" } as const;
  high.network.send(replicaFrom(0), { ...message, prepare });
  const forged = { ...prepare, header: { ...prepare.header, signature: new Uint8Array(64) } };
  high.network.send(replicaFrom(0), { ...message, prepare: forged });
  high.network.send(replicaFrom(0), { ...getView(1, 5) });
  await until("both arrive", () => low.received.length === 2);
  assert.deepEqual(low.received[0], { ...message, prepare });
  assert.equal(low.network.counts(replicaFrom(1)).refusedSignature, 1);
});

test("transport: a replaced member loses its link at once, and its key opens none", async () => {
  const ports = await threePorts();
  const low = await startNode(0, ports);
  const high = await startNode(2, ports);
  await until("up", () => low.network.connected(replicaFrom(2)));
  const successor = await authority.issue("lobby/2");
  const members = identities.map((item, i) => memberOf(i, i === 2 ? successor : item));
  low.network.setMembers(members);
  assert.equal(low.network.connected(replicaFrom(2)), false);
  const counts = low.network.counts(replicaFrom(2));
  await until("the old incarnation is refused", () => counts.refusedIdentity > 0);
  assert.equal(high.network.connected(replicaFrom(0)), false);
  await high.network.close();
  const hostile = await Hostile.dial(ports[0] ?? 0, successor.tls, successor);
  hostile.hello(2, successor.key.incarnation);
  await until("the successor is in", () => low.network.connected(replicaFrom(2)));
});
