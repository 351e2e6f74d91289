// Goal: a replica's key changes on its volume, and no two replicas lose each other meanwhile.
// Method: real sockets and certificates on 127.0.0.1; each side learns of the change at its time.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { connect } from "node:tls";
import { opFrom, replicaFrom, viewFrom } from "#replica/base/brands.ts";
import { sha256 } from "#replica/crypto/hash.ts";
import { frameScopeFrom } from "#replica/wire/frame.ts";
import type { PeerMessage } from "#replica/wire/peer-message.ts";
import type { Member } from "#replica/wire/superblock.ts";
import { sealedPrepare } from "#test/support/sealed-prepare.ts";
import {
  freePort,
  memberOf,
  ownKeyOf,
  TestAuthority,
  type TestIdentity,
  until,
} from "#test/support/shard-identities.ts";
import { MemberKeys } from "./member-keys.ts";
import { PeerNetwork } from "./peer-network.ts";
import { dialOptions } from "./tls-options.ts";

const rekeyOp = opFrom(40);
const nodes: PeerNetwork[] = [];
after(async () => {
  for (const node of nodes) await node.close();
});

interface Stage {
  readonly authority: TestAuthority;
  readonly low: PeerNetwork;
  readonly high: PeerNetwork;
  readonly ports: readonly number[];
  /** Of replicas 0 and 2; with the next key of the one that changes. */
  readonly before: readonly Member[];
  readonly afterwards: readonly Member[];
  readonly former: TestIdentity;
  readonly next: TestIdentity;
  /** Numbers that each side received, in order. */
  readonly received: readonly [number[], number[]];
  /** Times that either side had no connection. */
  readonly losses: number[];
}

/** Replicas 0 and 2 with a link; `changing` has a second key, of which nobody knows yet. */
async function stageOf(changing: 0 | 2): Promise<Stage> {
  const authority = await TestAuthority.create();
  const issue = (path: string) => authority.issue(path);
  const identities = [await issue("lobby/0"), await issue("lobby/1"), await issue("lobby/2")];
  const former = identities[changing];
  const next = await issue(`lobby/${changing}`);
  assert(former);
  const ports = [await freePort(), await freePort(), await freePort()];
  const address = (i: number) => ({ host: "127.0.0.1", port: ports[i] ?? 1 });
  const before = identities.map((identity, i) => memberOf(i, identity));
  const afterwards = before.map((member) => {
    const { publicKey } = next.key;
    return member.replica === changing ? { ...member, publicKey, replaceOp: rekeyOp } : member;
  });
  const received: [number[], number[]] = [[], []];
  const losses: number[] = [];
  const start = async (index: 0 | 2): Promise<PeerNetwork> => {
    const identity = identities[index];
    assert(identity);
    const network = new PeerNetwork({
      self: memberOf(index, identity),
      cluster: authority.cluster,
      shard: "lobby",
      addresses: [address(0), address(1), address(2)],
      listen: address(index),
      members: before,
      keys: [ownKeyOf(identity, identity.tls)],
      onMessage: (message) => {
        const number = message.kind === "get_view" ? message.nonce : message.view;
        received[index === 0 ? 0 : 1].push(number);
      },
      onRefused: () => undefined,
      onChange: (_, connected) => {
        if (!connected) losses.push(index);
      },
    });
    nodes.push(network);
    await network.listen();
    return network;
  };
  const [low, high] = [await start(0), await start(2)];
  await until("up", () => low.connected(replicaFrom(2)) && high.connected(replicaFrom(0)));
  const facts = { authority, low, high, ports, before, afterwards, former, next };
  return { ...facts, received, losses };
}

function say(stage: Stage, nonce: number): void {
  const [zero, , two] = stage.before;
  assert(zero && two);
  const frame = { kind: "get_view", view: viewFrom(1), nonce } as const;
  stage.low.send(two.replica, { ...frame, from: zero.replica, incarnation: zero.incarnation });
  stage.high.send(zero.replica, { ...frame, from: two.replica, incarnation: two.incarnation });
}

/** Says numbers without a pause until a condition holds; all must arrive, in order. */
async function saying(stage: Stage, first: number, holds: () => boolean): Promise<number> {
  let number = first;
  await until("the change while they talk", () => {
    say(stage, number);
    number += 1;
    return holds();
  });
  return number;
}

for (const changing of [0, 2] as const) {
  const which = changing === 0 ? "listener" : "dialler";
  test(`transport: the key of a ${which} changes under a link, and no frame is lost`, async () => {
    const stage = await stageOf(changing);
    const { low, high, before, afterwards, former, next, received } = stage;
    const [owner, peer] = changing === 0 ? [low, high] : [high, low];
    const other = replicaFrom(changing === 0 ? 2 : 0);
    const both = [ownKeyOf(former, former.tls), ownKeyOf(next, next.tls)] as const;
    // The op is in both logs; the owner holds both keys since before.
    owner.setKeys(both);
    owner.setMembers(afterwards, before);
    peer.setMembers(afterwards, before);
    let number = await saying(stage, 0, () => received[0].length > 20);
    // The owner has executed it, the peer has not.
    owner.setMembers(afterwards, afterwards);
    owner.setKeys([...both].reverse());
    number = await saying(stage, number, () => received[0].length > 60);
    const connects = peer.counts(replicaFrom(changing)).connects;
    peer.setMembers(afterwards, afterwards);
    const renewed = () => peer.counts(replicaFrom(changing)).connects > connects;
    number = await saying(stage, number, () => connects > 1 || renewed());
    owner.setKeys([ownKeyOf(next, next.tls)]);
    number = await saying(stage, number, () => owner.connected(other));
    const expected = Array.from({ length: number }, (_, i) => i);
    const sorted = () => received.map((all) => [...new Set(all)].sort((a, b) => a - b));
    await until("all arrive", () => sorted().every((all) => all.length === number));
    assert.deepEqual(sorted(), [expected, expected]);
    assert.deepEqual(stage.losses, [], "neither was without the other");
  });
}

test("transport: a replica that missed the change finds its peer by the former key", async () => {
  for (const changing of [0, 2] as const) {
    const stage = await stageOf(changing);
    const { low, high, ports, former, next, afterwards, received } = stage;
    const [owner, peer] = changing === 0 ? [low, high] : [high, low];
    owner.setMembers(afterwards, afterwards);
    owner.setKeys([ownKeyOf(next, next.tls), ownKeyOf(former, former.tls)]);
    // The peer was away: its process starts anew and knows the former key only.
    await peer.close();
    const index = changing === 0 ? 2 : 0;
    const identity = index === 0 ? stage.before[0] : stage.before[2];
    assert(identity);
    const late = new PeerNetwork({
      ...peer["options"],
      listen: { host: "127.0.0.1", port: ports[index] ?? 1 },
    });
    nodes.push(late);
    await late.listen();
    await until("they meet", () => late.connected(replicaFrom(changing)), 8_000);
    assert(late.counts(replicaFrom(changing)).connects > 0);
    received[0].length = 0;
    late.setMembers(afterwards, afterwards);
    await until("it is renewed", () => late.counts(replicaFrom(changing)).connects > 1, 8_000);
  }
});

test("transport: the former key opens nothing once the change is executed", async () => {
  const stage = await stageOf(2);
  const { low, high, ports, former, next, afterwards } = stage;
  low.setMembers(afterwards, afterwards);
  high.setMembers(afterwards, afterwards);
  high.setKeys([ownKeyOf(next, next.tls)]);
  const { refusedIdentity } = low.counts(replicaFrom(2));
  const thief = connect(dialOptions(former.tls, "127.0.0.1", ports[0] ?? 1));
  thief.on("error", () => undefined);
  let heard = 0;
  thief.on("data", (bytes) => {
    heard += bytes.length;
  });
  await until("it is refused", () => low.counts(replicaFrom(2)).refusedIdentity > refusedIdentity);
  await until("and closed", () => thief.destroyed);
  assert.equal(heard, 0);
});

test("transport: a connection under a key that counts no more ends, whoever dials", async () => {
  const stage = await stageOf(2);
  const { low, high, afterwards } = stage;
  // The thief's side never hears of the change.
  low.setMembers(afterwards, afterwards);
  await until("it is cut off", () => !low.connected(replicaFrom(2)), 8_000);
  await until("and refused", () => low.counts(replicaFrom(2)).refusedIdentity > 0, 8_000);
  assert(!high.connected(replicaFrom(0)));
});

test("transport: a key signs prepares by their op: up to the change, and above it", async () => {
  const stage = await stageOf(2);
  const { low, high, before, afterwards, former, next } = stage;
  const scope = frameScopeFrom({ cluster: stage.authority.cluster, shard: "lobby", hash: sha256 });
  const [, , author] = before;
  assert(author);
  low.setMembers(afterwards, afterwards);
  const { replica: from, incarnation } = author;
  const frame = { kind: "prepare", from, incarnation, view: viewFrom(1) } as const;
  const made = ({ key }: TestIdentity, op: number): PeerMessage => ({
    ...frame,
    prepare: sealedPrepare(scope, author, key.privateKey, opFrom(op), 10),
  });
  const counts = low.counts(from);
  const taken = stage.received[0];
  high.send(replicaFrom(0), made(former, rekeyOp));
  high.send(replicaFrom(0), made(next, rekeyOp + 1));
  await until("both are taken", () => taken.length === 2);
  assert.equal(counts.refusedSignature, 0);
  high.send(replicaFrom(0), made(former, rekeyOp + 1));
  high.send(replicaFrom(0), made(next, rekeyOp));
  await until("both are refused", () => counts.refusedSignature === 2);
  assert.equal(taken.length, 2);
});

test("transport: before a change is executed either key counts above it", () => {
  const identity = { replica: replicaFrom(1), incarnation: "1".repeat(32) };
  const [old, next] = ["a".repeat(64), "b".repeat(64)];
  const first = { ...identity, publicKey: old };
  const second = { ...identity, publicKey: next, replaceOp: rekeyOp };
  const keys = new MemberKeys([first], [first], []);
  const { replica } = identity;
  const count = (op: number) => {
    return keys.authorKeys(replica, memberOfKeys.incarnation, op).length;
  };
  const memberOfKeys = keys.member(replica) ?? assert.fail("a member");
  assert.equal(keys.accepted(replica, next), null);
  keys.set([second], [first]);
  assert.equal(keys.member(replica)?.publicKey, old, "what it is called by does not change yet");
  assert.equal(keys.accepted(replica, next)?.publicKey, next);
  assert.deepEqual([count(rekeyOp), count(rekeyOp + 1)], [1, 2]);
  // A view change drops it.
  keys.set([first], [first]);
  assert.equal(keys.accepted(replica, next), null);
  assert.deepEqual([count(rekeyOp), count(rekeyOp + 1)], [1, 1]);
  keys.set([second], [second]);
  assert.equal(keys.accepted(replica, old), null);
  assert.deepEqual([count(rekeyOp), count(rekeyOp + 1)], [1, 1]);
  // Who was made after the change does not know the former key.
  const late = new MemberKeys([second], [second], []);
  assert.equal(late.authorKeys(replica, memberOfKeys.incarnation, rekeyOp).length, 0);
  const told = new MemberKeys([second], [second], [{ ...first, replaceOp: 0 }]);
  assert.equal(told.authorKeys(replica, memberOfKeys.incarnation, rekeyOp).length, 1);
});
