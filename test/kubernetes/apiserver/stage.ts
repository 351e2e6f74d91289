import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundle } from "#deploy/images/bundle.ts";
import { roomShardCrd } from "#operator/api/crd.ts";
import type { RoomShard } from "#operator/api/room-shard.ts";
import { deletionBindingOf, deletionPolicyOf } from "#operator/desired/deletion-policy.ts";
import { operatorRules, ownRules } from "#operator/desired/permissions.ts";
import type { KubernetesObject } from "../api-client.ts";
import type { Kubectl } from "../kubectl.ts";
import type { LoopbackControlPlane } from "../loopback-control-plane.ts";
import { startLoopbackControlPlane } from "../loopback-control-plane.ts";
import type { Daemon } from "../process/daemon.ts";
import { logTail, startDaemon, startTicksOf, stopDaemon } from "../process/daemon.ts";
import { waitFor } from "../process/wait.ts";
import { PlayedKubelet } from "./played-kubelet.ts";

const operatorUser = "tigerchat-operator";
/** That of the control planes: whoever cleans up after a crashed run of theirs finds ours too. */
const dirPrefix = "tigerchat-apiserver-stage-";

/** A real control plane, the operator as a process with its own permissions, and played nodes. */
export class Stage {
  readonly controlPlane: LoopbackControlPlane;
  readonly kubectl: Kubectl;
  readonly kubelet: PlayedKubelet;
  readonly dir: string;
  operator: Daemon | undefined;
  private operatorsStarted = 0;
  private readonly daemons: Daemon[] = [];

  private constructor(controlPlane: LoopbackControlPlane, dir: string) {
    this.controlPlane = controlPlane;
    this.dir = dir;
    this.kubectl = controlPlane.kubectl;
    const replica = [process.execPath, join(dir, "replica.js")];
    this.kubelet = new PlayedKubelet({
      api: controlPlane.api,
      dir: join(dir, "nodes"),
      started: (daemon) => this.record(daemon),
      entryPoint: (image) => (image.startsWith("tigerchat/replica:") ? replica : undefined),
    });
  }

  /** Starts everything but the operator and the nodes. */
  static async open(): Promise<Stage> {
    const dir = await mkdtemp(join(tmpdir(), dirPrefix));
    const [controlPlane] = await Promise.all([
      startLoopbackControlPlane((line) => process.stderr.write(`${line}\n`)),
      bundle("replica", dir),
      bundle("operator", dir),
    ]);
    return new Stage(controlPlane, dir);
  }

  /** Applies the CRD and waits until it is served. */
  async installCrd(): Promise<void> {
    await this.controlPlane.api.apply(roomShardCrd() as unknown as KubernetesObject);
    // `kubectl wait` gives up at a status that is not there yet.
    const path = 'jsonpath={.status.conditions[?(@.type=="Established")].status}';
    await waitFor("the CRD to be served", 30_000, async () => {
      return (await this.kubectl.run("get", "crd/roomshards.tigerchat.dev", "-o", path)) === "True";
    });
  }

  /** Puts the policy into force that guards shards and CRD against deletion. */
  async installDeletionPolicy(): Promise<void> {
    await this.controlPlane.api.apply(deletionPolicyOf("tigerchat-deletion"));
    await this.controlPlane.api.apply(deletionBindingOf("tigerchat-deletion"));
  }

  /** Gives the operator's user exactly the rules that the chart gives it. */
  async grantPermissions(): Promise<void> {
    const { api } = this.controlPlane;
    const rbac = "rbac.authorization.k8s.io/v1";
    const subjects = [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: operatorUser }];
    const metadata = { name: operatorUser };
    const own = { name: operatorUser, namespace: "default" };
    const roleOf = (kind: string) => ({
      apiGroup: "rbac.authorization.k8s.io",
      kind,
      name: operatorUser,
    });
    await api.apply({ apiVersion: rbac, kind: "ClusterRole", metadata, rules: operatorRules });
    await api.apply({ apiVersion: rbac, kind: "Role", metadata: own, rules: ownRules });
    const cluster = { kind: "ClusterRoleBinding", metadata, roleRef: roleOf("ClusterRole") };
    await api.apply({ apiVersion: rbac, subjects, ...cluster });
    const local = { kind: "RoleBinding", metadata: own, roleRef: roleOf("Role") };
    await api.apply({ apiVersion: rbac, subjects, ...local });
  }

  /** Starts the operator as it runs in its image. */
  async startOperator(): Promise<void> {
    this.operator = await this.launchOperator();
  }

  /** Starts a second operator, which waits for the Lease; it becomes the operator of the stage. */
  async replaceOperator(): Promise<{ readonly first: Daemon; readonly second: Daemon }> {
    const first = this.operator;
    if (first === undefined) throw new Error("There is no operator to replace.");
    const second = await this.launchOperator();
    await waitFor("the second operator to listen", 20_000, () => this.said(second, "listening"));
    if (this.said(second, "elected")) throw new Error("Two operators are elected.");
    await stopDaemon(first, 15_000);
    this.operator = second;
    return { first, second };
  }

  /** True when a process has logged that message. */
  said(daemon: Daemon, message: string): boolean {
    return logTail(daemon, 1_000).includes(`"msg":"${message}"`);
  }

  private async launchOperator(): Promise<Daemon> {
    const kubeconfig = join(this.dir, "operator.kubeconfig");
    await this.controlPlane.writeKubeconfig(kubeconfig, operatorUser, []);
    const own = ["--replica-image", "tigerchat/replica:test", "--metrics-host", "127.0.0.1"];
    this.operatorsStarted += 1;
    const daemon = await startDaemon({
      name: "operator",
      command: process.execPath,
      args: [join(this.dir, "operator.js"), ...own, "--metrics-port", "0"],
      logFile: join(this.dir, `operator-${this.operatorsStarted}.log`),
      env: { KUBECONFIG: kubeconfig },
    });
    this.record(daemon);
    return daemon;
  }

  /** SIGTERM, as at the end of its pod. */
  async stopOperator(): Promise<void> {
    if (this.operator !== undefined) await stopDaemon(this.operator, 15_000);
    this.operator = undefined;
  }

  /** SIGKILL: its Lease stays held until it runs out. */
  async killOperator(): Promise<void> {
    if (this.operator !== undefined) await stopDaemon(this.operator, 0);
    this.operator = undefined;
  }

  /** Writes down what runs, for the next run to end if this one is killed. */
  private record(daemon: Daemon): void {
    this.daemons.push(daemon);
    const owner = { pid: process.pid, startTicks: startTicksOf(process.pid) };
    const text = JSON.stringify({ owner, daemons: this.daemons });
    writeFileSync(join(this.dir, "run.json"), text);
  }

  /** Reads a RoomShard. */
  async shard(name: string): Promise<RoomShard> {
    const text = await this.kubectl.run("get", "roomshard", name, "-o", "json");
    return JSON.parse(text) as RoomShard;
  }

  /** Waits for something to be true of a RoomShard; shows shard and logs when it never is. */
  async shardThat(
    name: string,
    what: string,
    holds: (shard: RoomShard) => boolean,
    timeoutMs = 60_000,
  ): Promise<RoomShard> {
    let last: RoomShard | undefined;
    const explain = (): string => {
      const log = this.operator === undefined ? "no operator" : logTail(this.operator);
      const status = JSON.stringify(last?.status, null, 1);
      return `${status}\nplayed kubelet: ${this.kubelet.logs()}\noperator:\n${log}`;
    };
    const probe = async (): Promise<RoomShard | undefined> => {
      last = await this.shard(name);
      return holds(last) ? last : undefined;
    };
    return waitFor(`${name}: ${what}`, timeoutMs, probe, { intervalMs: 200, explain });
  }

  /** UIDs of the shard's pods, by replica. */
  async podUids(shard: string): Promise<readonly string[]> {
    const selector = `app.kubernetes.io/instance=${shard}`;
    const path = 'jsonpath={range .items[*]}{.metadata.name}={.metadata.uid}{"\\n"}{end}';
    const text = await this.kubectl.run("get", "pods", "-l", selector, "-o", path);
    return text.trim().split("\n").sort();
  }

  /** Ends every process and removes every file. */
  async close(): Promise<void> {
    await this.stopOperator();
    await this.kubelet.stop();
    await this.controlPlane.stop();
    await rm(this.dir, { recursive: true, force: true });
  }
}
