import type { KubeClient } from "./kube-client.ts";
import type { KubeObject } from "./kube-object.ts";
import { kinds } from "./kube-object.ts";
import { microTime } from "./micro-time.ts";

/** Characters of a note at most; the server drops longer events without a word. */
export const noteLengthMax = 1024;
const reportingController = "tigerchat.dev/operator";
const repeatWindowMs = 600_000;
const seriesMax = 1000;

/** Something that people should see beside an object. */
export interface EventNote {
  readonly type: "Normal" | "Warning";
  /** One word, why. */
  readonly reason: string;
  /** One word, what was done. */
  readonly action: string;
  /** A sentence. */
  readonly note: string;
}

/** Writes events (events.k8s.io/v1) beside objects. The same one again becomes a series. */
export class EventRecorder {
  private readonly client: KubeClient;
  private readonly instance: string;
  private readonly failed: (message: string) => void;
  private number = 0;
  private readonly series = new Map<string, { name: string; count: number; lastMs: number }>();

  constructor(client: KubeClient, instance: string, failed: (message: string) => void) {
    this.client = client;
    this.instance = instance.slice(0, 128);
    this.failed = failed;
  }

  private nextNumber(): string {
    this.number = (this.number + 1) % 4096;
    return this.number.toString(16).padStart(3, "0");
  }

  /** Records; never throws and never delays its caller by more than a request. */
  async record(regarding: KubeObject, event: EventNote): Promise<void> {
    const nowMs = Date.now();
    const namespace = regarding.metadata.namespace ?? "default";
    const key = [regarding.metadata.uid, event.reason, event.action, event.note].join("|");
    const known = this.series.get(key);
    if (known !== undefined && nowMs - known.lastMs < repeatWindowMs) {
      known.count += 1;
      known.lastMs = nowMs;
      const series = { count: known.count, lastObservedTime: microTime(nowMs) };
      const patched = await this.client.mergePatch(kinds.event, namespace, known.name, { series });
      if (!patched.ok && patched.status !== 404) this.failed(patched.message);
      return;
    }
    const number = `${nowMs.toString(16)}${this.nextNumber()}`;
    const name = `${regarding.metadata.name.slice(0, 40)}.${number}`;
    if (this.series.size >= seriesMax) this.series.clear();
    this.series.set(key, { name, count: 1, lastMs: nowMs });
    const created = await this.client.create(
      kinds.event,
      this.eventOf(regarding, event, name, nowMs),
    );
    if (!created.ok) this.failed(created.message);
  }

  private eventOf(
    regarding: KubeObject,
    event: EventNote,
    name: string,
    nowMs: number,
  ): KubeObject {
    const { metadata } = regarding;
    const namespace = metadata.namespace ?? "default";
    const object = {
      apiVersion: kinds.event.apiVersion,
      kind: kinds.event.kind,
      metadata: { name, namespace },
      eventTime: microTime(nowMs),
      reportingController,
      reportingInstance: this.instance,
      ...event,
      note: event.note.slice(0, noteLengthMax),
      regarding: {
        apiVersion: regarding.apiVersion,
        kind: regarding.kind,
        name: metadata.name,
        namespace,
        uid: metadata.uid,
        resourceVersion: metadata.resourceVersion,
      },
    };
    return object;
  }
}
