import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { readFileSync } from "node:fs";
import type { ApiClient } from "../api-client.ts";
import type { Daemon } from "../process/daemon.ts";
import { isRunning, signal, startDaemon, stopDaemon } from "../process/daemon.ts";
import { hostPath, materialise, type PodFiles } from "./pod-files.ts";
import type { ContainerReport, PodObject } from "./pod-object.ts";
import { podStatus } from "./pod-object.ts";

/** What the played node gives to a pod. */
export interface PodHome {
  readonly api: ApiClient;
  readonly dir: string;
  readonly claimsDir: string;
  /** Program and first arguments that stand for an image; undefined when there is no such image. */
  readonly entryPoint: (image: string) => readonly string[] | undefined;
  readonly address: string;
  readonly resolve: (text: string) => string;
  readonly started: (daemon: Daemon) => void;
}

const restartDelayMs = 500;
const probeTimeoutMs = 1_000;
const patch = "application/strategic-merge-patch+json";

/** One pod on the played node: a real process, started, probed, restarted and stopped as there. */
export class PlayedPod {
  readonly pod: PodObject;
  private readonly home: PodHome;
  private files: PodFiles | undefined;
  private daemon: Daemon | undefined;
  private endedMs = 0;
  private restarts = 0;
  private started = false;
  private lastMessage = "";
  private reported = "";
  /** While true the process is not restarted: a node that is busy with something else. */
  held = false;

  constructor(pod: PodObject, home: PodHome) {
    this.pod = pod;
    this.home = home;
  }

  /** The process, while there is one. */
  get process(): Daemon | undefined {
    return this.daemon;
  }

  /** One look of the kubelet: starts, restarts or probes, then reports what changed. */
  async sync(): Promise<void> {
    if (this.daemon !== undefined && !isRunning(this.daemon)) this.ended();
    if (this.daemon === undefined && !this.held) await this.start();
    await this.report(await this.look());
  }

  /** The pod was deleted: stops the process in its grace period, then confirms. */
  async terminate(): Promise<void> {
    const graceMs = 1000 * (this.pod.spec.terminationGracePeriodSeconds ?? 30);
    if (this.daemon !== undefined) await stopDaemon(this.daemon, graceMs);
    const { namespace, name, uid } = this.pod.metadata;
    const options = { gracePeriodSeconds: 0, preconditions: { uid } };
    const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
    await this.home.api.send("DELETE", path, options);
    await rm(this.home.dir, { recursive: true, force: true });
  }

  /** kill -9 of the process. */
  kill(): void {
    if (this.daemon !== undefined) signal(this.daemon, "SIGKILL");
  }

  /** What its claims lead to is another, empty disk; the process must be down. */
  async emptyDisk(): Promise<void> {
    const { namespace } = this.pod.metadata;
    for (const { persistentVolumeClaim: claim } of this.pod.spec.volumes ?? []) {
      if (claim === undefined) continue;
      const folder = join(this.home.claimsDir, `${namespace}-${claim.claimName}`);
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { recursive: true });
    }
  }

  private ended(): void {
    this.daemon = undefined;
    this.started = false;
    this.endedMs = performance.now();
    this.restarts += 1;
    this.lastMessage = this.terminationMessage();
  }

  private async start(): Promise<void> {
    if (this.restarts > 0 && performance.now() - this.endedMs < restartDelayMs) return;
    const { api, dir, claimsDir, resolve, entryPoint } = this.home;
    this.files ??= await materialise(api, this.pod, { dir, claimsDir, resolve });
    const [container] = this.pod.spec.containers;
    const files = this.files;
    if (files === undefined || container === undefined) return;
    const program = entryPoint(container.image);
    if (program === undefined) return;
    const index = this.pod.metadata.labels?.["apps.kubernetes.io/pod-index"] ?? "";
    const args = (container.args ?? []).map((argument) => {
      if (argument === "/dev/termination-log") return join(dir, "termination-log");
      return hostPath(files, argument).replaceAll("$(REPLICA)", index);
    });
    const [command = "", ...first] = program;
    this.daemon = await startDaemon({
      name: this.pod.metadata.name,
      command,
      args: [...first, ...args],
      logFile: join(dir, "log"),
    });
    this.home.started(this.daemon);
  }

  private async look(): Promise<ContainerReport> {
    const common = { restartCount: this.restarts, ready: false, started: false };
    const ended = { terminated: { exitCode: 1, message: this.lastMessage } };
    const lastState = this.restarts === 0 ? {} : ended;
    if (this.daemon === undefined) {
      const reason = this.restarts > 0 ? "CrashLoopBackOff" : this.waitingReason();
      return { ...common, lastState, state: { waiting: { reason } } };
    }
    this.started ||= await this.probe("/healthz");
    const ready = this.started && (await this.probe("/readyz"));
    const state = { running: { startedAt: new Date(0).toISOString() } };
    return { ...common, lastState, state, started: this.started, ready };
  }

  private waitingReason(): string {
    const image = this.pod.spec.containers[0]?.image ?? "";
    const known = this.home.entryPoint(image) !== undefined;
    return known ? "ContainerCreating" : "ErrImagePull";
  }

  private async probe(path: string): Promise<boolean> {
    try {
      const url = `http://${this.home.address}:7104${path}`;
      const answer = await fetch(url, { signal: AbortSignal.timeout(probeTimeoutMs) });
      await answer.arrayBuffer();
      return answer.ok;
    } catch {
      return false;
    }
  }

  private async report(container: ContainerReport): Promise<void> {
    const text = JSON.stringify(container);
    if (text === this.reported) return;
    const { namespace, name, uid } = this.pod.metadata;
    const status = podStatus(this.pod, this.home.address, container);
    const path = `/api/v1/namespaces/${namespace}/pods/${name}/status`;
    const answer = await this.home.api.send("PATCH", path, { metadata: { uid }, status }, patch);
    if (answer.status === 200) this.reported = text;
  }

  private terminationMessage(): string {
    try {
      return readFileSync(join(this.home.dir, "termination-log"), "utf8").slice(0, 4096);
    } catch {
      return "";
    }
  }
}
