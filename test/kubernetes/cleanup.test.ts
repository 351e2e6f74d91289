import assert from "node:assert/strict";
import { test } from "node:test";
import type { Remains } from "./cleanup.ts";
import { isClean, planCleanup, sysctlFile } from "./cleanup.ts";

const nothing: Remains = {
  pids: [],
  netns: [],
  links: [],
  cgroups: [],
  dirs: [],
  sysctls: {},
  netnsDir: undefined,
};

test("cleanup: nothing left, nothing to do", () => {
  assert.deepEqual(planCleanup(nothing), []);
  assert.equal(isClean(nothing), true);
});

test("cleanup: processes first, the record last, so that it can be done again", () => {
  const steps = planCleanup({
    pids: [10, 11],
    netns: ["tigerchat-lan"],
    links: ["tigerchat0"],
    cgroups: ["/cg/cpu/n/pod", "/cg/cpu/n"],
    dirs: ["/var/tmp/cluster"],
    sysctls: { "kernel.panic": "0" },
    netnsDir: "/run/netns",
  });
  const kinds = ["kill", "link", "netns", "cgroup", "cgroup", "sysctl", "netns_dir", "dir"];
  assert.deepEqual(
    steps.map((step) => step.kind),
    kinds,
  );
  assert.deepEqual(steps[3], { kind: "cgroup", dir: "/cg/cpu/n/pod" });
});

test("cleanup: any single remainder counts", () => {
  const each: Partial<Remains>[] = [
    { pids: [1] },
    { netns: ["a"] },
    { links: ["b"] },
    { cgroups: ["c"] },
    { dirs: ["d"] },
  ];
  for (const part of each) assert.equal(isClean({ ...nothing, ...part }), false);
});

test("cleanup: a kernel setting's name leads to its file", () => {
  assert.equal(sysctlFile("kernel.keys.root_maxkeys"), "/proc/sys/kernel/keys/root_maxkeys");
});
