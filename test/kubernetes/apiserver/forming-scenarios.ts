import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { repositoryDir } from "../paths.ts";
import { waitFor } from "../process/wait.ts";
import type { Scenario } from "./scenario.ts";
import type { Stage } from "./stage.ts";

/** The manifest that kubectl and `npm start` read. */
export async function exampleManifest(): Promise<string> {
  return readFile(join(repositoryDir, "deploy", "examples", "roomshard.yaml"), "utf8");
}

interface Listed {
  readonly items: readonly {
    readonly kind: string;
    readonly metadata: {
      readonly name: string;
      readonly annotations?: Readonly<Record<string, string>>;
      readonly ownerReferences?: readonly { readonly kind: string; readonly name: string }[];
    };
    readonly spec?: Readonly<Record<string, unknown>>;
    readonly data?: Readonly<Record<string, string>>;
  }[];
}

/** Everything of the given kinds in the namespace. */
export async function listed(stage: Stage, kinds: string): Promise<Listed["items"]> {
  const text = await stage.kubectl.run("get", kinds, "-o", "json");
  return (JSON.parse(text) as Listed).items;
}

/** The genesis record on the claims; the same on all three. */
export async function genesisOf(stage: Stage): Promise<{ step: string; formationId: string }> {
  const claims = await listed(stage, "persistentvolumeclaims");
  const records = claims.map(({ metadata }) => metadata.annotations?.["tigerchat.dev/genesis"]);
  assert.equal(records.length, 3);
  assert.equal(new Set(records).size, 1);
  return JSON.parse(records[0] ?? "{}") as { step: string; formationId: string };
}

/** From a manifest to a serving shard, with a first manifest that is wrong. */
export const formingScenarios: readonly Scenario[] = [
  {
    name: "a first manifest with a wrong image is repaired by the next",
    run: async (stage) => {
      await stage.installDeletionPolicy();
      await stage.grantPermissions();
      await stage.kubelet.start();
      await stage.startOperator();
      const wrong = `${await exampleManifest()}  image: nowhere/replica:none\n`;
      await stage.kubectl.apply(wrong);
      // Three pods that are not Ready answer 429 to every eviction, for ever.
      await stage.shardThat("lobby", "pods without an image", ({ status }) =>
        (status?.members ?? []).every(({ message }) => message === "ErrImagePull"),
      );
      await stage.kubectl.apply(await exampleManifest());
      await stage.kubectl.run(
        "patch",
        "rsh",
        "lobby",
        "--type=merge",
        "-p",
        '{"spec":{"image":""}}',
      );
    },
  },

  {
    name: "a manifest becomes a serving shard of three real replicas",
    run: async (stage) => {
      const shard = await stage.shardThat(
        "lobby",
        "Ready with three voters",
        ({ status }) => status?.phase === "Serving" && status.voting === "3/3",
        90_000,
      );
      const { status } = shard;
      assert.equal(status?.conditions?.find(({ type }) => type === "Ready")?.status, "True");
      assert.deepEqual(status?.slots, { owned: 4096, epoch: 1 });
      assert.equal(status?.primary, (status?.view ?? 0) % 3);
      assert.deepEqual(
        status?.members?.map(({ state, caughtUp, pod }) => `${pod} ${state} ${caughtUp}`),
        ["lobby-0 Voting true", "lobby-1 Voting true", "lobby-2 Voting true"],
      );
      assert.equal((await genesisOf(stage)).step, "done");
    },
  },

  {
    name: "children follow the rules; no Secret holds a replica's key",
    run: async (stage) => {
      const [set] = await listed(stage, "statefulsets");
      assert.equal(set?.spec?.["podManagementPolicy"], "Parallel");
      assert.deepEqual(set?.spec?.["updateStrategy"], { type: "OnDelete" });
      const services = await listed(stage, "services");
      const headless = services.find(({ metadata }) => metadata.name === "lobby");
      assert.equal(headless?.spec?.["publishNotReadyAddresses"], true);
      assert.equal(headless?.spec?.["clusterIP"], "None");
      const [budget] = await listed(stage, "poddisruptionbudgets");
      assert.equal(budget?.spec?.["unhealthyPodEvictionPolicy"], "IfHealthyBudget");
      const secrets = await listed(stage, "secrets");
      const owners = (name: string) =>
        secrets.find(({ metadata }) => metadata.name === name)?.metadata.ownerReferences;
      assert.equal(owners("lobby-keys"), undefined);
      assert.equal(owners("lobby-bootstrap")?.[0]?.name, "lobby");
      const entries = secrets.flatMap(({ metadata, data }) =>
        Object.keys(data ?? {}).map((entry) => `${metadata.name} ${entry}`),
      );
      assert.deepEqual(entries.sort(), [
        "lobby-bootstrap bootstrap",
        "lobby-keys kek",
        ...["ca.crt", "ca.key", "cluster"].map((name) => `tigerchat-default-ca ${name}`),
        ...["api-key", "api-keys.json", "jwt.json", "tls.crt", "tls.key"].map(
          (name) => `tigerchat-default-edge ${name}`,
        ),
      ]);
      await waitFor("events", 10_000, async () => {
        const events = await stage.kubectl.run("events", "--for", "roomshard/lobby");
        return ["IdentityProven", "ReplicasIdentified", "StuckPod"].every((one) =>
          events.includes(one),
        );
      });
    },
  },
];
