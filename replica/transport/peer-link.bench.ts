// What a thousand frames a second each way cost a replica's main thread: `node FILE [seconds]`.
// Both ends run in this process, so a figure is the sum of sending and receiving.
import { opFrom, replicaFrom, viewFrom } from "#replica/base/brands.ts";
import { clientIdFrom } from "#replica/base/brands.ts";
import { sha256 } from "#replica/crypto/hash.ts";
import { frameScopeFrom } from "#replica/wire/frame.ts";
import { sealedPrepare } from "#test/support/sealed-prepare.ts";
import {
  freePort,
  memberOf,
  ownKeyOf,
  TestAuthority,
  type TestIdentity,
  until,
} from "#test/support/shard-identities.ts";
import { ClientListener } from "./client-listener.ts";
import { PeerNetwork } from "./peer-network.ts";
import { ShardLink } from "./shard-link.ts";

const seconds = Number(process.argv[2] ?? 3);
const authority = await TestAuthority.create();
const identities: readonly TestIdentity[] = [
  await authority.issue("lobby/0"),
  await authority.issue("lobby/1"),
  await authority.issue("lobby/2"),
];
const scope = frameScopeFrom({ cluster: authority.cluster, shard: "lobby", hash: sha256 });
const ports = [await freePort(), await freePort(), await freePort()];
let sentAtMs = 0;
const delaysMs: number[] = [];

function nodeAt(index: number): PeerNetwork {
  const identity = identities[index];
  if (identity === undefined) throw new Error("no identity");
  const address = (i: number) => ({ host: "127.0.0.1", port: ports[i] ?? 1 });
  return new PeerNetwork({
    self: memberOf(index, identity),
    cluster: authority.cluster,
    shard: "lobby",
    addresses: [address(0), address(1), address(2)],
    listen: address(index),
    members: identities.map((item, i) => memberOf(i, item)),
    keys: [ownKeyOf(identity, identity.tls)],
    onMessage: () => {
      if (index === 0) delaysMs.push(performance.now() - sentAtMs);
    },
    onRefused: () => undefined,
  });
}

/** Calls `act` 1,000 times a second; returns the share of one core that everything took. */
async function paced(act: () => void): Promise<number> {
  const begin = process.cpuUsage();
  const startMs = performance.now();
  let sent = 0;
  while (performance.now() - startMs < seconds * 1000) {
    const due = performance.now() - startMs;
    while (sent < due) {
      act();
      sent += 1;
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const used = process.cpuUsage(begin);
  return (used.user + used.system) / 1000 / (performance.now() - startMs);
}

function report(what: string, share: number, more: string): void {
  console.log(`${what.padEnd(34)} ${(share * 100).toFixed(1).padStart(6)} % of a core  ${more}`);
}

const low = nodeAt(0);
const high = nodeAt(1);
await low.listen();
await high.listen();
await until("connected", () => high.connected(replicaFrom(0)) && low.connected(replicaFrom(1)));
report("idle loop of this benchmark", await paced(() => undefined), "");

const author = identities[1];
if (author === undefined) throw new Error("no author");
const member = memberOf(1, author);
const envelope = { from: member.replica, incarnation: member.incarnation, view: viewFrom(4) };
for (const kib of [16, 64, 100]) {
  const prepare = sealedPrepare(scope, member, author.key.privateKey, opFrom(5), kib * 1024);
  delaysMs.length = 0;
  const before = low.counts(replicaFrom(1)).framesReceived;
  const share = await paced(() => {
    sentAtMs = performance.now();
    high.send(replicaFrom(0), { ...envelope, kind: "prepare", prepare });
  });
  await new Promise((resolve) => setTimeout(resolve, 50));
  const frames = low.counts(replicaFrom(1)).framesReceived - before;
  delaysMs.sort((a, b) => a - b);
  const [p50, p99] = [0.5, 0.99].map((q) => delaysMs[Math.floor(delaysMs.length * q)] ?? 0);
  const dropped = high.counts(replicaFrom(0)).droppedFull;
  const delay = `${dropped} dropped, delay p50 ${p50?.toFixed(2)} p99 ${p99?.toFixed(2)} ms`;
  report(`prepares of ${kib} KiB, 1,000/s`, share, `${frames} arrived, ${delay}`);
}
const checksum = sha256(new Uint8Array(1));
const numbers = { op: opFrom(9), commitMin: opFrom(8), checkpointOp: opFrom(0) };
const acks = await paced(() => {
  high.send(replicaFrom(0), { ...envelope, kind: "prepare_ok", checksum, ...numbers });
});
report("prepare_ok (sign, verify), 1,000/s", acks, "");
await low.close();
await high.close();

const listeners: ClientListener[] = [];
for (const identity of identities) {
  listeners.push(
    new ClientListener({
      cluster: authority.cluster,
      listen: { host: "127.0.0.1", port: 0 },
      tls: identity.tls,
      onClosed: () => undefined,
      onMessage: (connection, message) => {
        const view = viewFrom(0);
        if (message.kind === "hello") {
          connection.send({ kind: "view", view, primary: replicaFrom(0), normal: true });
        } else if (message.kind === "register") {
          const { clientId } = message;
          connection.send({ kind: "registered", clientId, session: opFrom(1) });
        } else if (message.kind === "request") {
          const { session, requestNumber, requestChecksum } = message.header;
          const reply = { session, requestNumber, requestChecksum, op: opFrom(5), view };
          connection.send({ kind: "reply", ...reply, body: new Uint8Array(2400) });
        }
      },
    }),
  );
}
const [a, b, c] = await Promise.all(listeners.map((listener) => listener.listen()));
const edge = await authority.issue("edge");
const at = (port: number | undefined) => ({ host: "127.0.0.1", port: port ?? 1 });
const link = new ShardLink({
  clientId: clientIdFrom("e".repeat(32)),
  shard: { name: "lobby", cluster: authority.cluster, addresses: [at(a), at(b), at(c)] },
  tls: edge.tls,
});
await until("primary", () => link.view.primary === 0);
let answered = 0;
const batch = new Uint8Array(16 * 1024);
const clients = await paced(() => {
  link.submit(batch, 100, () => {
    answered += 1;
  });
});
report("requests of 16 KiB by ShardLink", clients, `${answered} answered in ${seconds} s`);
link.close();
for (const listener of listeners) await listener.close();
