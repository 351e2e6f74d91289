// Goal: a killed peer is known within milliseconds, a stopped one within seconds; both come back.
// Method: the peer is a real process (this file again), killed and stopped by signals.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { replicaFrom } from "#replica/base/brands.ts";
import {
  freePort,
  memberOf,
  TestAuthority,
  type TestIdentity,
  until,
} from "#test/support/shard-identities.ts";
import { volumeKeyFromPem } from "#replica/crypto/volume-key.ts";
import { PeerNetwork, type PeerNetworkOptions } from "./peer-network.ts";

type Shared = Omit<PeerNetworkOptions, "keys" | "onMessage" | "onRefused"> & {
  readonly tls: TestIdentity["tls"];
};

function networkOf({ tls, ...shared }: Shared, onRefused: (peer: number) => void): PeerNetwork {
  const key = volumeKeyFromPem(tls.key);
  assert(key);
  const keys = [{ publicKey: key.publicKey, privateKey: key.privateKey, tls }];
  return new PeerNetwork({ ...shared, keys, onMessage: () => undefined, onRefused });
}

function sharedFor(
  index: number,
  cluster: string,
  identities: readonly TestIdentity[],
  ports: readonly number[],
): Shared {
  const address = (i: number) => ({ host: "127.0.0.1", port: ports[i] ?? 1 });
  const identity = identities[index];
  assert(identity);
  return {
    self: memberOf(index, identity),
    cluster,
    shard: "lobby",
    addresses: [address(0), address(1), address(2)],
    listen: address(index),
    members: identities.map((item, i) => memberOf(i, item)),
    tls: identity.tls,
  };
}

const childOptions = process.env["PEER_DEATH_CHILD"];
if (childOptions !== undefined) {
  const network = networkOf(JSON.parse(childOptions) as Shared, () => undefined);
  await network.listen();
  setTimeout(() => process.exit(0), 30_000);
} else {
  declareTests();
}

function declareTests(): void {
  const children: ChildProcess[] = [];
  const networks: PeerNetwork[] = [];
  const ports: number[] = [];
  let authority: TestAuthority;
  let identities: readonly TestIdentity[];

  before(async () => {
    authority = await TestAuthority.create();
    identities = await Promise.all([0, 1, 2].map((i) => authority.issue(`lobby/${i}`)));
    for (let i = 0; i < 3; i += 1) ports.push(await freePort());
  });
  after(async () => {
    for (const child of children) child.kill("SIGKILL");
    for (const network of networks) await network.close();
  });

  const sharedOf = (index: number): Shared =>
    sharedFor(index, authority.cluster, identities, ports);
  const startPeer = (): ChildProcess => {
    const env = { ...process.env, PEER_DEATH_CHILD: JSON.stringify(sharedOf(1)) };
    Reflect.deleteProperty(env, "NODE_TEST_CONTEXT");
    const args = [
      ...process.execArgv.filter((arg) => !arg.startsWith("--test")),
      import.meta.filename,
    ];
    const child = spawn(process.execPath, args, { env, stdio: "inherit" });
    children.push(child);
    return child;
  };

  test("transport: kill -9 is told at once, a stop within 2 s, and both heal", async (t) => {
    const peer = replicaFrom(1);
    const refusedMs: number[] = [];
    for (const index of [0, 2]) {
      const network = networkOf(sharedOf(index), () => refusedMs.push(performance.now()));
      networks.push(network);
      await network.listen();
    }
    const connected = (): boolean => networks.every((network) => network.connected(peer));
    const parted = (): boolean => networks.every((network) => !network.connected(peer));
    const killed = startPeer();
    await until("connected", connected, 10_000);
    const killMs = performance.now();
    killed.kill("SIGKILL");
    await until("both were refused", () => refusedMs.length === 2);
    const tookMs = Math.max(...refusedMs) - killMs;
    t.diagnostic(`both sides knew after ${tookMs.toFixed(1)} ms`);
    // A few milliseconds on an idle machine; the bound is for one that runs all other tests too.
    assert(tookMs < 200, `${tookMs} ms`);

    const stopped = startPeer();
    await until("connected again", connected, 10_000);
    const stopMs = performance.now();
    stopped.kill("SIGSTOP");
    await until("parted", parted);
    assert(performance.now() - stopMs < 2500, "silence is noticed");
    stopped.kill("SIGCONT");
    await until("healed", connected, 10_000);
    assert.equal(refusedMs.length, 2);
  });
}
