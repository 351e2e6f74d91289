// Cost of consensus alone: three replicas in one process, network and disk answer at once.
import { replicaFrom } from "#replica/base/brands.ts";
import type { Op } from "#replica/base/brands.ts";
import type { Request } from "#replica/wire/prepare.ts";
import { Cluster } from "#test/support/bare-core/cluster.ts";
import { runOptions } from "#test/support/bare-core/run-options.ts";
import { fakeHash } from "#test/support/bare-core/fake-sealer.ts";
import type { Effect } from "./effect.ts";
import type { Event } from "./event.ts";
import { Replica } from "./replica.ts";
import { toyGenesis, ToyMachine } from "#test/support/bare-core/toy-machine.ts";
import { fakeSealer } from "#test/support/bare-core/fake-sealer.ts";

const prepares = 20_000;
const slots = 8192;
const cluster = new Cluster(1, { ...runOptions(1), slots, clients: 1 }, null);
const queue: (() => void)[] = [];
let nowMs = 0;
let replies = 0;
let session = 0 as Op;
const machines = [0, 1, 2].map(() => new ToyMachine(toyGenesis));
for (const machine of machines) machine.needs = () => [];
const replicas = [0, 1, 2].map((i) => {
  const machine = machines[i];
  if (machine === undefined) throw new Error("machine");
  return new Replica({
    replica: replicaFrom(i),
    recovered: cluster.machine(i).disk.recover(),
    machine,
    sealer: fakeSealer,
    seed: i,
    timing: { heartbeatMs: 20, suspectMs: 100, viewChangeMs: 150 },
    quorum: { replication: 2, viewChange: 2 },
    batch: { lingerMs: 0 },
    sessions: new Uint8Array(0),
  });
});

function step(i: number, event: Event): void {
  const replica = replicas[i];
  if (replica === undefined) throw new Error("replica");
  replica.step(event, nowMs, nowMs * 1000);
  for (const effect of replica.drain()) run(i, effect);
}

function run(i: number, effect: Effect): void {
  if (effect.kind === "send") {
    queue.push(() => step(effect.to, { kind: "message", message: effect.message }));
  } else if (effect.kind === "write_prepare") {
    const { op, checksum } = effect.prepare.header;
    queue.push(() => step(i, { kind: "prepare_durable", op, checksum }));
  } else if (effect.kind === "write_superblock") {
    const { sequence } = effect.state;
    queue.push(() => step(i, { kind: "superblock_durable", sequence }));
  } else if (effect.kind === "write_checkpoint") {
    const { op, opChecksum, parentId } = effect;
    const root = fakeHash(`${op}`);
    const id = fakeSealer.checkpointId(root, parentId, op, opChecksum);
    const checkpoint = { id, parentId, op, opChecksum, root, manifestBytes: 0 };
    queue.push(() => step(i, { kind: "checkpoint_durable", checkpoint }));
  } else if (effect.kind === "committed") machines[i]?.executed.delete(effect.op);
  else if (effect.kind === "reply") {
    replies += 1;
    session = effect.op === 1 ? effect.op : session;
  }
}

function settle(): void {
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) next();
}

function request(requestNumber: number, body: Uint8Array, checksum = fakeHash(body)): Request {
  const clientId = "1".repeat(32);
  const operationsCount = requestNumber === 0 ? 0 : 200;
  return {
    header: { session, requestNumber, requestChecksum: checksum, clientId, operationsCount },
    body,
  };
}

for (const i of [0, 1, 2]) step(i, { kind: "timeout" });
settle();
step(0, { kind: "request", request: request(0, new Uint8Array(0)), viewKnown: 0 });
settle();
const body = new Uint8Array(64);
const checksum = fakeHash(body);
const started = performance.now();
for (let n = 1; n <= prepares; n += 1) {
  nowMs += 1;
  step(0, { kind: "request", request: request(n, body, checksum), viewKnown: 0 });
  settle();
}
const micros = ((performance.now() - started) * 1000) / prepares;
process.stdout.write(
  `${replies} replies; ${micros.toFixed(1)} us a prepare for all three replicas\n`,
);
