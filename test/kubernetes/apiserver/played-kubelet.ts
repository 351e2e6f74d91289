import { join } from "node:path";
import type { ApiClient } from "../api-client.ts";
import { createLoopbackNode } from "../loopback-node.ts";
import type { Daemon } from "../process/daemon.ts";
import { isRunning, logTail, stopDaemon } from "../process/daemon.ts";
import { sleep } from "../process/wait.ts";
import { localVolume, storageClass } from "../storage.ts";
import { PlayedPod } from "./played-pod.ts";
import type { PodObject } from "./pod-object.ts";

/** What the played nodes need. */
export interface PlayedKubeletOptions {
  readonly api: ApiClient;
  readonly dir: string;
  /** Program and first arguments that stand for the replica image. */
  readonly entryPoint: (image: string) => readonly string[] | undefined;
  /** Called for every process as soon as it exists. */
  readonly started: (daemon: Daemon) => void;
}

const nodesCount = 3;
const paceMs = 150;
/** Replica N of the shard under test listens on 127.0.0.(2 + N): ports of three never clash. */
const addressOf = (replica: number): string => `127.0.0.${2 + replica}`;

/**
 * Plays the kubelets of three nodes: the scheduler binds pods to them, this starts a real process
 * for each, with the files that the pod mounts, and writes what it sees into the pod's status.
 */
export class PlayedKubelet {
  private readonly options: PlayedKubeletOptions;
  private readonly pods = new Map<string, PlayedPod>();
  private readonly ending = new Map<string, Promise<void>>();
  private readonly daemons: Daemon[] = [];
  private stopped = false;
  private loop: Promise<void> = Promise.resolve();
  /** Faults of the test itself; a scenario that waits in vain shows the last. */
  lastError = "";

  constructor(options: PlayedKubeletOptions) {
    this.options = options;
  }

  /** Creates the nodes and their volumes, then plays until {@link stop}. */
  async start(): Promise<void> {
    const { api, dir } = this.options;
    await api.apply(storageClass());
    for (let index = 0; index < nodesCount; index += 1) {
      const name = `node${index + 1}`;
      await createLoopbackNode(api, { name, zone: `zone-${index + 1}`, address: addressOf(index) });
      const path = join(dir, "volumes", name);
      await api.apply(localVolume({ node: name, index: 0, path, size: "8Gi" }));
    }
    this.loop = this.play();
  }

  /** The played pod of a name, as long as it lives. */
  pod(name: string): PlayedPod | undefined {
    return [...this.pods.values()].find(({ pod }) => pod.metadata.name === name);
  }

  /** The ends of the processes' logs, for messages. */
  logs(lines = 12): string {
    const texts = [...this.pods.values()].flatMap((played) => {
      const { name } = played.pod.metadata;
      return played.process === undefined ? [] : `${name}:\n${logTail(played.process, lines)}`;
    });
    return [this.lastError, ...texts].join("\n");
  }

  /** Ends the loop and every process. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.loop;
    await Promise.allSettled(this.ending.values());
    for (const daemon of this.daemons.filter(isRunning)) await stopDaemon(daemon, 0);
  }

  private async play(): Promise<void> {
    while (!this.stopped) {
      try {
        await this.round();
      } catch (error) {
        this.lastError = error instanceof Error ? error.message : String(error);
      }
      await sleep(paceMs);
    }
  }

  private async round(): Promise<void> {
    const listed = (await this.options.api.get("/api/v1/pods")) as { items: PodObject[] };
    const bound = listed.items.filter(({ spec }) => spec.nodeName !== undefined);
    for (const uid of this.pods.keys()) {
      if (bound.every(({ metadata }) => metadata.uid !== uid)) this.end(uid);
    }
    const living = bound.filter(({ metadata }) => {
      if (metadata.deletionTimestamp === undefined) return true;
      this.end(metadata.uid, metadata);
      return false;
    });
    await Promise.all(living.map((pod) => this.playedOf(pod).sync()));
  }

  private playedOf(pod: PodObject): PlayedPod {
    const known = this.pods.get(pod.metadata.uid);
    if (known !== undefined) return known;
    const { api, dir, entryPoint, started } = this.options;
    const replica = Number(pod.metadata.labels?.["apps.kubernetes.io/pod-index"] ?? 0);
    const played = new PlayedPod(pod, {
      api,
      dir: join(dir, "pods", pod.metadata.uid),
      claimsDir: join(dir, "claims"),
      entryPoint,
      address: addressOf(replica),
      resolve: (text) => resolveNames(pod, text, addressOf(replica)),
      started: (daemon) => {
        this.daemons.push(daemon);
        started(daemon);
      },
    });
    this.pods.set(pod.metadata.uid, played);
    return played;
  }

  private end(uid: string, metadata?: PodObject["metadata"]): void {
    const played = this.pods.get(uid);
    if (played === undefined && metadata !== undefined && !this.ending.has(uid)) {
      // Deleted before it ever ran here: only the confirmation is missing.
      const { name, namespace } = metadata;
      const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
      const options = { gracePeriodSeconds: 0, preconditions: { uid } };
      const confirmed = this.options.api.send("DELETE", path, options);
      this.ending.set(
        uid,
        confirmed.then(() => undefined),
      );
    }
    if (played === undefined) return;
    this.pods.delete(uid);
    this.ending.set(uid, played.terminate());
  }
}

/** Headless names of the shard's pods become their loopback addresses; so does "any address". */
function resolveNames(pod: PodObject, text: string, own: string): string {
  const { namespace, labels } = pod.metadata;
  const shard = labels?.["tigerchat.dev/shard"] ?? "";
  let resolved = text.replaceAll('"0.0.0.0"', JSON.stringify(own));
  for (let replica = 0; replica < nodesCount; replica += 1) {
    const name = `${shard}-${replica}.${shard}.${namespace}.svc`;
    resolved = resolved.replaceAll(name, addressOf(replica));
  }
  return resolved;
}
