import assert from "node:assert/strict";
import { waitFor } from "../process/wait.ts";
import { EdgeOfTest } from "./edge-of-test.ts";
import { exampleManifest, genesisOf, listed } from "./forming-scenarios.ts";
import type { Scenario } from "./scenario.ts";

const allow = "tigerchat.dev/allow-delete=yes";

/** What outlives a shard, and what brings it back. */
export const deletionScenarios: readonly Scenario[] = [
  {
    name: "deleting a shard with slots, or the CRD, needs the annotation",
    run: async (stage) => {
      const { kubectl } = stage;
      const shard = await kubectl.attempt("delete", "rsh", "lobby", "--wait=false");
      assert.notEqual(shard.code, 0);
      assert.match(shard.stderr, /owns slots with rooms in them.*allow-delete/);
      const crd = await kubectl.attempt(
        "delete",
        "crd",
        "roomshards.tigerchat.dev",
        "--wait=false",
      );
      assert.notEqual(crd.code, 0);
      assert.match(crd.stderr, /deletes every RoomShard.*allow-delete/);
      assert.equal((await stage.shard("lobby")).metadata.deletionTimestamp, undefined);
    },
  },

  {
    name: "after an allowed deletion only claims and key Secret remain",
    run: async (stage) => {
      await stage.kubectl.run("annotate", "rsh", "lobby", allow);
      await stage.kubectl.run("delete", "rsh", "--all");
      await waitFor("garbage collection", 60_000, async () => {
        const kinds = "statefulsets,pods,services,secrets,poddisruptionbudgets,networkpolicies";
        const left = await listed(stage, `${kinds},configmaps`);
        const names = left.map(({ kind, metadata }) => `${kind}/${metadata.name}`).sort();
        const kept = ["ConfigMap/kube-root-ca.crt", "Secret/lobby-keys", "Service/kubernetes"];
        if (names.join() === kept.join()) return true;
        throw new Error(names.join());
      });
      assert.equal((await listed(stage, "persistentvolumeclaims")).length, 3);
    },
  },

  {
    name: "applying again brings the same data back, without a genesis",
    run: async (stage) => {
      const before = await genesisOf(stage);
      await stage.kubectl.run("delete", "events.events.k8s.io", "--all");
      await stage.kubectl.apply(await exampleManifest());
      const shard = await stage.shardThat(
        "lobby",
        "serving again",
        ({ status }) => status?.phase === "Serving" && status.voting === "3/3",
        90_000,
      );
      assert.deepEqual(shard.status?.slots, { owned: 4096, epoch: 1 });
      assert.deepEqual(await genesisOf(stage), before);
      const edge = await EdgeOfTest.open(stage);
      assert.deepEqual(await edge.read("hall"), ["first"]);
      edge.close();
      const events = await stage.kubectl.run("events", "--for", "roomshard/lobby");
      assert.doesNotMatch(events, /BeginGenesis|Forming the shard/);
      assert.match(events, /Certified replica 2/);
    },
  },

  {
    name: "a missing key Secret is reported, never made anew",
    run: async (stage) => {
      const kek = await stage.kubectl.run("get", "secret", "lobby-keys", "-o", "json");
      await stage.kubectl.run("annotate", "rsh", "lobby", allow);
      await stage.kubectl.run("delete", "rsh", "lobby");
      await stage.kubectl.run("delete", "secret", "lobby-keys");
      await stage.kubectl.apply(await exampleManifest());
      await stage.shardThat("lobby", "KeyMissing", ({ status }) => {
        const ready = status?.conditions?.find(({ type }) => type === "Ready");
        return (
          ready?.reason === "KeyMissing" && ready.message.includes("Restore Secret lobby-keys")
        );
      });
      const { data } = JSON.parse(kek) as { data: object };
      const metadata = { name: "lobby-keys" };
      await stage.kubectl.apply(
        JSON.stringify({ apiVersion: "v1", kind: "Secret", metadata, data }),
      );
      await stage.shardThat(
        "lobby",
        "serving with the restored key",
        ({ status }) => {
          return status?.phase === "Serving" && status.voting === "3/3";
        },
        90_000,
      );
    },
  },
];
