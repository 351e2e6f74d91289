import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClusterRecord } from "./cluster-record.ts";
import { clusterState } from "./cluster-record.ts";

const daemon = { name: "etcd", pid: 20, startTicks: 1, logFile: "/x" };
const record: ClusterRecord = {
  owner: { pid: 10, startTicks: 1 },
  kubeconfigFile: "/x/kubeconfig",
  daemons: [daemon],
  sysctls: {},
  netnsDirExisted: false,
};
const running =
  (...pids: readonly number[]) =>
  (each: { pid: number }): boolean =>
    pids.includes(each.pid);

test("cluster record: who owns it decides what a next start may do", () => {
  const kept = { ...record, owner: null };
  assert.equal(clusterState(undefined), "none");
  assert.equal(clusterState(record, running(10, 20)), "in_use");
  assert.equal(clusterState(record, running(20)), "abandoned");
  assert.equal(clusterState(kept, running(20)), "kept");
  assert.equal(clusterState(kept, running()), "abandoned");
});
