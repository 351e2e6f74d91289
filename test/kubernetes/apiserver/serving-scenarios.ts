import assert from "node:assert/strict";
import type { RoomShard } from "#operator/api/room-shard.ts";
import { signal } from "../process/daemon.ts";
import { sleep, waitFor } from "../process/wait.ts";
import { EdgeOfTest } from "./edge-of-test.ts";
import { exampleManifest } from "./forming-scenarios.ts";
import type { Scenario } from "./scenario.ts";
import type { Stage } from "./stage.ts";

function isWhole({ status }: RoomShard): boolean {
  return status?.phase === "Serving" && status.voting === "3/3";
}

function conditionOf({ status }: RoomShard, type: string) {
  return status?.conditions?.find((one) => one.type === type);
}

async function primaryOf(stage: Stage): Promise<number> {
  const { status } = await stage.shardThat("lobby", "whole", isWhole);
  assert.ok(status?.primary !== undefined);
  return status.primary;
}

/** What happens to a serving shard, and what the operator does and does not do about it. */
export const servingScenarios: readonly Scenario[] = [
  {
    name: "with the files that edges mount, a room is written and read",
    run: async (stage) => {
      const edge = await EdgeOfTest.open(stage);
      await edge.write("hall", "first");
      assert.deepEqual(await edge.read("hall"), ["first"]);
      edge.close();
    },
  },

  {
    name: "re-applying and replacing the operator restarts no pod",
    run: async (stage) => {
      const before = await stage.podUids("lobby");
      const set = () =>
        stage.kubectl.run("get", "sts", "lobby", "-o", "jsonpath={.metadata.generation}");
      const generation = await set();
      await stage.kubectl.apply(await exampleManifest());
      const { second } = await stage.replaceOperator();
      // The first freed the Lease at its end: its successor need not wait for it to run out.
      await waitFor("the successor's election", 10_000, () => stage.said(second, "elected"));
      const { metadata } = await stage.shard("lobby");
      await sleep(4_000);
      assert.deepEqual(await stage.podUids("lobby"), before);
      assert.equal(await set(), generation);
      const restarts = await stage.kubectl.run(
        ...["get", "pods", "-o", "jsonpath={.items[*].status.containerStatuses[0].restartCount}"],
      );
      assert.equal(restarts, "0 0 0");
      assert.equal((await stage.shard("lobby")).metadata.generation, metadata.generation);
    },
  },

  {
    name: "kill -9 of the primary: another leads, the status follows",
    run: async (stage) => {
      const primary = await primaryOf(stage);
      const pod = stage.kubelet.pod(`lobby-${primary}`);
      assert.ok(pod !== undefined);
      pod.held = true;
      pod.kill();
      await stage.shardThat("lobby", "another primary and two voters", ({ status }) => {
        return (
          status?.primary !== undefined && status.primary !== primary && status.voting === "2/3"
        );
      });
      pod.held = false;
      const whole = await stage.shardThat("lobby", "three voters again", isWhole);
      assert.notEqual(whole.status?.primary, primary);
    },
  },

  {
    name: "eviction answers 429 until the first replica is caught up again",
    run: async (stage) => {
      const primary = await primaryOf(stage);
      const [away = 0, other = 0] = [0, 1, 2].filter((replica) => replica !== primary);
      const pod = stage.kubelet.pod(`lobby-${away}`);
      assert.ok(pod !== undefined);
      pod.held = true;
      pod.kill();
      await stage.shardThat("lobby", "two voters", ({ status }) => status?.voting === "2/3");
      await waitFor("the budget to notice", 10_000, async () => {
        const path = "jsonpath={.status.disruptionsAllowed}";
        return (await stage.kubectl.run("get", "pdb", "lobby", "-o", path)) === "0";
      });
      assert.equal(await stage.kubectl.evict(`lobby-${other}`), "refused");
      pod.held = false;
      await stage.shardThat("lobby", "three voters again", isWhole);
      const evicted = async () => (await stage.kubectl.evict(`lobby-${other}`)) === "evicted";
      await waitFor("the eviction to be granted", 20_000, evicted);
      await stage.shardThat("lobby", "the evicted replica away", (shard) => !isWhole(shard));
      await stage.shardThat("lobby", "the evicted replica back", isWhole);
    },
  },

  {
    name: "a shard without quorum is reported, and nothing is restarted",
    run: async (stage) => {
      const before = await stage.podUids("lobby");
      const stopped = [0, 1].map((replica) => stage.kubelet.pod(`lobby-${replica}`)?.process);
      for (const daemon of stopped) if (daemon !== undefined) signal(daemon, "SIGSTOP");
      await stage.shardThat("lobby", "Stopped", ({ status }) => status?.phase === "Stopped");
      assert.deepEqual(await stage.podUids("lobby"), before);
      for (const daemon of stopped) if (daemon !== undefined) signal(daemon, "SIGCONT");
      await stage.shardThat("lobby", "serving again", isWhole);
    },
  },

  {
    name: "a paused shard keeps its proven template and its pods",
    run: async (stage) => {
      await stage.shardThat(
        "lobby",
        "proven",
        ({ status }) => status?.templateHash?.proven !== undefined,
      );
      const hash = () =>
        stage.kubectl.run(
          ...["get", "sts", "lobby", "-o"],
          "jsonpath={.metadata.annotations.tigerchat\\.dev/template-hash}",
        );
      const [before, pods] = [await hash(), await stage.podUids("lobby")];
      const change = (paused: boolean, cpu: string) => {
        const patch = JSON.stringify({ spec: { paused, resources: { requests: { cpu } } } });
        return stage.kubectl.run("patch", "rsh", "lobby", "--type=merge", "-p", patch);
      };
      await change(true, "105m");
      await stage.shardThat("lobby", "ReconciliationPaused", ({ status }) => {
        const paused = status?.conditions?.find(({ type }) => type === "ReconciliationPaused");
        return paused?.status === "True" && status?.templateHash?.target !== before;
      });
      await sleep(2_000);
      assert.equal(await hash(), before);
      assert.deepEqual(await stage.podUids("lobby"), pods);
      await change(false, "100m");
      await stage.shardThat("lobby", "active again", isWhole);
      assert.deepEqual(await stage.podUids("lobby"), pods);
    },
  },

  {
    name: "a larger size grows the claims and remakes the StatefulSet around its pods",
    run: async (stage) => {
      const pods = await stage.podUids("lobby");
      const read = (kind: string, path: string) =>
        stage.kubectl.run("get", kind, "-o", `jsonpath={.items[*].${path}}`);
      const before = await read("sts", "metadata.uid");
      const patch = JSON.stringify({ spec: { storage: { size: "5Gi" } } });
      await stage.kubectl.run("patch", "rsh", "lobby", "--type=merge", "-p", patch);
      await waitFor("a new StatefulSet", 30_000, async () => {
        const uid = await read("sts", "metadata.uid");
        return uid !== "" && uid !== before;
      });
      assert.equal(await read("pvc", "spec.resources.requests.storage"), "5Gi 5Gi 5Gi");
      const size = "spec.volumeClaimTemplates[0].spec.resources.requests.storage";
      assert.equal(await read("sts", size), "5Gi");
      await waitFor("the pods to be adopted", 30_000, async () => {
        const set = await read("sts", "metadata.uid");
        const owners = await read("pods", "metadata.ownerReferences[0].uid");
        return owners === [set, set, set].join(" ");
      });
      assert.deepEqual(await stage.podUids("lobby"), pods);
      await stage.shardThat("lobby", "serving as before", isWhole);
    },
  },

  {
    name: "the machine goes to the newest version that all three builds know",
    run: async (stage) => {
      await stage.shardThat("lobby", "the newest machine", (shard) => {
        return conditionOf(shard, "MachineUpToDate")?.status === "True";
      });
      const events = await stage.kubectl.run("events", "--for", "roomshard/lobby");
      assert.match(events, /MachineUpgraded/);
    },
  },

  {
    name: "an empty disk takes the place of a lost one, on a person's word only",
    run: async (stage) => {
      const primary = await primaryOf(stage);
      const lost = (primary + 1) % 3;
      const pod = stage.kubelet.pod(`lobby-${lost}`);
      assert.ok(pod !== undefined);
      pod.held = true;
      pod.kill();
      await stage.shardThat("lobby", "two voters", ({ status }) => status?.voting === "2/3");
      await pod.emptyDisk();
      pod.held = false;
      const named = (shard: RoomShard): boolean => {
        return conditionOf(shard, "StorageHealthy")?.reason === "VolumeLost";
      };
      await stage.shardThat("lobby", "a lost volume, named", named);
      await sleep(3_000);
      assert.ok(named(await stage.shard("lobby")), "nothing is formatted without a word");
      await stage.kubectl.run("annotate", "rsh", "lobby", `tigerchat.dev/replace=${lost}`);
      await stage.shardThat("lobby", "three voters again", isWhole);
      await stage.kubectl.run("annotate", "rsh", "lobby", "tigerchat.dev/replace-");
      const events = await stage.kubectl.run("events", "--for", "roomshard/lobby");
      assert.match(events, /VolumeReplaced/);
    },
  },

  {
    name: "a new template rolls one replica at a time, the primary last",
    run: async (stage) => {
      const primary = await primaryOf(stage);
      const before = await stage.podUids("lobby");
      const spec = { resources: { requests: { cpu: "110m" } } };
      await stage.kubectl.run(
        "patch",
        "rsh",
        "lobby",
        "--type=merge",
        "-p",
        JSON.stringify({ spec }),
      );
      const left: string[] = [];
      await waitFor(
        "all three replaced",
        120_000,
        async () => {
          const now = await stage.podUids("lobby");
          for (const uid of before) if (!now.includes(uid) && !left.includes(uid)) left.push(uid);
          return left.length === 3;
        },
        { intervalMs: 50, explain: () => left.join(" ") },
      );
      assert.match(left[2] ?? "", new RegExp(`^lobby-${primary}=`));
      const shard = await stage.shardThat("lobby", "whole on the new template", (one) => {
        const { proven, target } = one.status?.templateHash ?? {};
        return isWhole(one) && proven !== undefined && proven === target;
      });
      assert.equal(
        shard.status?.conditions?.find(({ type }) => type === "Degraded")?.status,
        "False",
      );
      const events = await stage.kubectl.run("events", "--for", "roomshard/lobby");
      assert.match(events, /TransferPrimary|hand the primary over/);
    },
  },
];
