// Goal: named situations, each from the list of others' bugs or a rule that is easy to
// lose.
// Method: the simulated cluster without chance faults, driven by hand.
import assert from "node:assert/strict";
import { test } from "node:test";
import { replicaFrom } from "#replica/base/brands.ts";
import { Cluster } from "./cluster.ts";
import { type RunOptions, runOptions } from "./run-options.ts";

const calm: RunOptions = {
  ...runOptions(1),
  clients: 3,
  requestsEach: 40,
  window: 2,
  network: { delayMinMs: 0.1, delayMeanMs: 0.1, loss: 0, duplication: 0 },
  diskMs: { min: 0.2, mean: 0.3 },
  readFailure: 0,
  rotMachine: -1,
};

function start(options: Partial<RunOptions> = {}): Cluster {
  const cluster = new Cluster(7, { ...calm, ...options }, null);
  cluster.start();
  return cluster;
}

function until(cluster: Cluster, limitMs: number, done: () => boolean): number {
  const startMs = cluster.heap.nowMs;
  while (!done()) {
    assert.ok(cluster.heap.nowMs < startMs + limitMs, `not within ${limitMs} ms`);
    assert.ok(cluster.heap.step());
  }
  return cluster.heap.nowMs - startMs;
}

function primaryOf(cluster: Cluster): number {
  const primary = cluster.replicas.find(({ replica, index }) => {
    return replica?.status === "normal" && replica.primary === index;
  });
  assert.ok(primary !== undefined);
  return primary.index;
}

function agreed(cluster: Cluster): boolean {
  const { head } = cluster.history;
  return cluster.replicas.every(({ replica }) => replica?.commitMin === head);
}

function finish(cluster: Cluster): void {
  until(cluster, 20_000, () => cluster.done && agreed(cluster));
  cluster.checkEnd(cluster.replicas);
}

test("sim: all three lose power in normal status and come back alone (NATS #7564, #7567)", () => {
  const cluster = start();
  until(cluster, 5000, () => cluster.history.head >= 20);
  for (const machine of cluster.replicas) machine.crash();
  const { head } = cluster.history;
  for (const machine of cluster.replicas) machine.start();
  until(cluster, 5000, () => cluster.history.head > head);
  finish(cluster);
});

function leadsNewView(cluster: Cluster, view: number): boolean {
  return cluster.replicas.some(({ replica, index }) => {
    if (replica === null || replica.view <= view) return false;
    return replica.status === "normal" && replica.primary === index;
  });
}

test("sim: kill of the primary: a new one leads within 200 ms, 20 if refused", () => {
  for (const refused of [false, true]) {
    const cluster = start();
    until(cluster, 5000, () => cluster.history.head >= 10);
    const index = primaryOf(cluster);
    const view = cluster.machine(index).replica?.view ?? 0;
    cluster.machine(index).crash();
    const replica = replicaFrom(index);
    for (const machine of cluster.replicas) {
      if (refused) machine.deliver({ kind: "peer_refused", replica });
    }
    const gapMs = until(cluster, 5000, () => leadsNewView(cluster, view));
    assert.ok(gapMs < (refused ? 20 : 200), `${gapMs} ms`);
    cluster.machine(index).start();
    finish(cluster);
  }
});

test("sim: a restarted primary never resumes its view", () => {
  const cluster = start();
  until(cluster, 5000, () => cluster.history.head >= 10);
  const index = primaryOf(cluster);
  const view = cluster.machine(index).replica?.view ?? 0;
  cluster.machine(index).crash();
  cluster.machine(index).start();
  until(cluster, 5000, () => cluster.replicas.every(({ replica }) => replica?.status === "normal"));
  assert.ok(cluster.replicas.every(({ replica }) => (replica?.view ?? 0) > view));
  finish(cluster);
});

test("sim: planned transfer: the target leads within 30 ms, nothing is lost", () => {
  const cluster = start();
  until(cluster, 5000, () => cluster.history.head >= 10);
  const target = replicaFrom((primaryOf(cluster) + 2) % 3);
  for (const machine of cluster.replicas) machine.deliver({ kind: "transfer", target });
  const tookMs = until(cluster, 1000, () => {
    const { replica } = cluster.machine(target);
    return replica?.status === "normal" && replica.primary === target;
  });
  assert.ok(tookMs < 30, `${tookMs} ms`);
  finish(cluster);
});

test("sim: a replica that slept past the ring syncs its state from a quorum's checkpoint", () => {
  const cluster = start({ requestsEach: 80 });
  until(cluster, 5000, () => cluster.history.head >= 10);
  const index = (primaryOf(cluster) + 1) % 3;
  cluster.machine(index).crash();
  const before = cluster.history.head;
  until(cluster, 20_000, () => cluster.history.head > before + 2 * calm.slots);
  cluster.machine(index).start();
  finish(cluster);
  assert.ok((cluster.machine(index).replica?.checkpointOp ?? 0) > before);
});

test("sim: two of three go on though one slept past the ring and the other died just now", () => {
  // The survivor's newest checkpoint may be its own only: it must still offer the quorum's.
  for (const more of [0, 1, 2, 3, 4, 5, 6, 7]) {
    const cluster = start({ requestsEach: 80 });
    until(cluster, 5000, () => cluster.history.head >= 10);
    const index = (primaryOf(cluster) + 1) % 3;
    cluster.machine(index).crash();
    const before = cluster.history.head;
    until(cluster, 20_000, () => cluster.history.head > before + 2 * calm.slots + more);
    cluster.machine(3 - index - primaryOf(cluster)).crash();
    cluster.machine(index).start();
    const { head } = cluster.history;
    until(cluster, 10_000, () => cluster.history.head > head + 10);
  }
});

test("sim: a one-way partition of a backup does not livelock the view change", () => {
  const cluster = start({ requestsEach: 60 });
  until(cluster, 5000, () => cluster.history.head >= 10);
  const primary = primaryOf(cluster);
  cluster.network.partition(primary, (primary + 1) % 3, false);
  const view = cluster.machine(primary).replica?.view;
  const { head } = cluster.history;
  until(cluster, 3000, () => cluster.history.head > head + 20);
  assert.equal(cluster.machine(primary).replica?.view, view);
  cluster.network.heal();
  finish(cluster);
});

test("sim: a primary that is not heard by anyone is replaced, and joins the new view", () => {
  const cluster = start({ requestsEach: 60 });
  until(cluster, 5000, () => cluster.history.head >= 10);
  const primary = primaryOf(cluster);
  cluster.network.partition(primary, (primary + 1) % 3, false);
  cluster.network.partition(primary, (primary + 2) % 3, false);
  const { head } = cluster.history;
  until(cluster, 3000, () => cluster.history.head > head + 10);
  assert.notEqual(primaryOf(cluster), primary);
  cluster.network.heal();
  finish(cluster);
});

test("sim: a pause of the primary ends in one new view, its late heartbeats change nothing", () => {
  const cluster = start({ requestsEach: 60 });
  until(cluster, 5000, () => cluster.history.head >= 10);
  const primary = primaryOf(cluster);
  cluster.machine(primary).pausedUntilMs = cluster.heap.nowMs + 400;
  until(cluster, 2000, () => cluster.heap.nowMs >= cluster.machine(primary).pausedUntilMs);
  finish(cluster);
  assert.equal(cluster.machine(primary).replica?.view, 1);
});

test("sim: no view change in ten idle minutes", () => {
  const cluster = start({ requestsEach: 1 });
  until(cluster, 5000, () => cluster.done);
  const endMs = cluster.heap.nowMs + 600_000;
  until(cluster, 700_000, () => cluster.heap.nowMs >= endMs);
  assert.ok(cluster.replicas.every(({ replica }) => replica?.view === 0));
});

test("sim: a wall clock that jumps back does not turn log time back", () => {
  const cluster = start();
  until(cluster, 5000, () => cluster.history.head >= 10);
  for (const machine of cluster.replicas) machine.wallOffsetUs = -3_600_000_000;
  finish(cluster);
});

test("sim: a corrupt entry is repaired, it never becomes the log (NATS #7549)", () => {
  const cluster = start({ requestsEach: 60 });
  until(cluster, 5000, () => cluster.history.head >= 20);
  const primary = primaryOf(cluster);
  const next = cluster.machine((primary + 1) % 3);
  // Not the very newest: there the identifier may not be on disk yet, which makes it two faults.
  for (let op = cluster.history.head - 4; op > cluster.history.head - 10; op -= 1) {
    next.disk.rot(op % calm.slots, false);
  }
  next.crash();
  next.start();
  cluster.machine(primary).crash();
  const { head } = cluster.history;
  until(cluster, 5000, () => cluster.history.head > head);
  cluster.machine(primary).start();
  finish(cluster);
});
