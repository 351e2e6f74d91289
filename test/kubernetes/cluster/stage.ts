import { findRemains, isClean } from "../cleanup.ts";
import { type Cluster, startCluster } from "../cluster.ts";
import { buildTigerchatImages, release } from "../install-tigerchat.ts";
import { waitFor } from "../process/wait.ts";

const started = performance.now();

/** Prints a line with the seconds since the start. */
export function report(line: string): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  // The reporter passes on standard error only.
  console.error(`${seconds.padStart(6)} s  ${line}`);
}

/** What a RoomShard's status says, as far as the scenarios need it. */
export interface ShardStatus {
  readonly phase?: string;
  readonly primary?: number;
  readonly view?: number;
  readonly voting?: string;
  readonly members?: readonly { readonly replica: number; readonly caughtUp: boolean }[];
}

/**
 * The three-node cluster with our images on it, and an empty namespace that admits only pods that
 * satisfy Pod Security `restricted`.
 */
export class Stage {
  readonly cluster: Cluster;

  private constructor(cluster: Cluster) {
    this.cluster = cluster;
  }

  /** Starts everything. */
  static async open(): Promise<Stage> {
    const images = buildTigerchatImages(report);
    images.catch(() => undefined);
    const cluster = await startCluster(report);
    const stage = new Stage(cluster);
    try {
      report("Three nodes are Ready.");
      await cluster.importImages(await images);
      report("Images are on all nodes.");
      await stage.kubectl("create", "namespace", release.namespace);
      const level = "pod-security.kubernetes.io/enforce=restricted";
      await stage.kubectl("label", "namespace", release.namespace, level);
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return stage;
  }

  /** Ends everything; throws when anything is left. */
  async close(): Promise<void> {
    if (process.env["TIGERCHAT_CLUSTER_KEEP_FAILED"] !== undefined) return this.cluster.keep();
    await this.cluster.stop();
    const remains = await findRemains();
    if (!isClean(remains)) throw new Error(`Left behind: ${JSON.stringify(remains)}`);
  }

  /** What there is to see when a scenario failed. */
  async describe(): Promise<string> {
    const { attempt } = this.cluster.kubectl;
    const here = ["--namespace", release.namespace];
    const pods = ["logs", "--prefix", "--tail=15", "-l", "app.kubernetes.io/part-of=tigerchat"];
    const asked = [
      ["get", "pods,roomshards,pvc", "-o", "wide"],
      ["get", "events", "--sort-by=.lastTimestamp"],
      pods,
    ];
    const answers = await Promise.all(asked.map((args) => attempt(...here, ...args)));
    return answers.map(({ stdout }) => stdout.split("\n").slice(-60).join("\n")).join("\n");
  }

  /** Runs kubectl in the release's namespace. */
  kubectl(...args: readonly string[]): Promise<string> {
    return this.cluster.kubectl.run("--namespace", release.namespace, ...args);
  }

  /** The example's status now. */
  async status(): Promise<ShardStatus> {
    const text = await this.kubectl("get", "roomshard", "lobby", "-o", "jsonpath={.status}");
    return JSON.parse(text) as ShardStatus;
  }

  /** Waits until the example has three replicas that vote and are caught up. */
  async settled(): Promise<ShardStatus> {
    return waitFor(
      "three replicas that are caught up",
      120_000,
      async () => {
        const status = await this.status();
        const members = status.members ?? [];
        const caughtUp = members.filter((member) => member.caughtUp).length;
        if (caughtUp === 3 && status.phase === "Serving") return status;
        throw new Error(JSON.stringify(status));
      },
      { intervalMs: 500 },
    );
  }

  /** Which replica leads, by the replicas' own metrics; waits for exactly one. */
  async primary(): Promise<number> {
    const path = "jsonpath={range .items[*]}{.metadata.name}={.status.podIP} {end}";
    const label = "app.kubernetes.io/name=tigerchat-replica";
    return waitFor("one primary", 30_000, async () => {
      const pods = (await this.kubectl("get", "pods", "-l", label, "-o", path)).trim().split(" ");
      const leading: number[] = [];
      for (const pod of pods) {
        const [name = "", ip = ""] = pod.split("=");
        const metrics = await fetch(`http://${ip}:7104/metrics`).then((answer) => answer.text());
        if (/^tigerchat_shard_is_leader 1$/m.test(metrics)) leading.push(Number(name.slice(-1)));
      }
      return leading.length === 1 ? leading[0] : undefined;
    });
  }

  /** Kind and name of everything in the namespace, but for what every namespace has. */
  async objects(): Promise<readonly string[]> {
    const listed = ["api-resources", "--namespaced", "--verbs=list", "-o", "name"];
    const kinds = (await this.kubectl(...listed)).trim().split("\n");
    const kept = kinds.filter((kind) => !/^(events|pods\.metrics)/.test(kind));
    const names = await this.kubectl("get", kept.join(","), "-o", "name");
    const everyNamespace = ["configmap/kube-root-ca.crt", "serviceaccount/default"];
    return lines(names).filter((name) => !everyNamespace.includes(name));
  }

  /** Kind and name of what belongs to no namespace and a chart could make. */
  async clusterObjects(): Promise<readonly string[]> {
    const kinds =
      "crd,clusterroles,clusterrolebindings,validatingadmissionpolicies," +
      "validatingadmissionpolicybindings,validatingwebhookconfigurations,priorityclasses";
    return lines(await this.kubectl("get", kinds, "-o", "name"));
  }
}

function lines(text: string): readonly string[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .sort();
}
