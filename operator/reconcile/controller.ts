import type { RoomShard } from "#operator/api/room-shard.ts";
import { validateRoomShard } from "#operator/api/validate.ts";
import { KubeError } from "#operator/kube/answer.ts";
import type { KubeObject } from "#operator/kube/kube-object.ts";
import { kinds } from "#operator/kube/kube-object.ts";
import type { WorkQueue } from "#operator/kube/work-queue.ts";
import { type Context, keyOfShard } from "./context.ts";
import { reconcileShard } from "./reconcile-shard.ts";

/** Shards that are worked on at the same time. */
const workersCount = 4;

/** Takes shards from the queue for ever; every failure is a longer wait, never an end. */
export class Controller {
  private readonly context: Context;
  private readonly queue: WorkQueue;
  private workers: Promise<void>[] = [];

  constructor(context: Context, queue: WorkQueue) {
    this.context = context;
    this.queue = queue;
  }

  /** Starts the workers. */
  start(): void {
    this.workers = Array.from({ length: workersCount }, () => this.work());
  }

  /** Ends after the rounds that run now. */
  async stop(): Promise<void> {
    this.queue.close();
    await Promise.all(this.workers);
  }

  private async work(): Promise<void> {
    for (;;) {
      const key = await this.queue.next();
      if (key === undefined) return;
      await this.round(key);
      this.queue.done(key);
    }
  }

  private async round(key: string): Promise<void> {
    const startMs = performance.now();
    const shard = this.shardOf(key);
    if (shard === undefined) return this.forget(key);
    const { pending, metrics, log } = this.context;
    if (pending.isBehind(keyOfShard(shard), shard satisfies KubeObject, startMs)) {
      return this.queue.addAfter(key, 100);
    }
    const seconds = (): number => (performance.now() - startMs) / 1000;
    try {
      const afterMs = await reconcileShard(this.context, shard);
      this.queue.forget(key);
      this.queue.addAfter(key, afterMs);
      metrics.reconciled("success", seconds());
    } catch (error) {
      const waitMs = this.queue.addAfterFailure(key);
      // Somebody else wrote first: not an error, only another round on what is true now.
      const conflict = error instanceof KubeError && error.refusal.status === 409;
      metrics.reconciled(conflict ? "requeue" : "error", seconds());
      const message = error instanceof Error ? error.message : String(error);
      const fields = { shard: key, waitMs, error: message };
      if (conflict) log.info(fields, "conflict");
      else log.warn(fields, "reconcile failed");
    }
  }

  private forget(key: string): void {
    this.queue.forget(key);
    this.context.statusWrittenMs.delete(key);
    this.context.audit.forget(key);
    for (const one of this.context.secretsCheckedMs.keys()) {
      if (one.startsWith(`${key}/`)) this.context.secretsCheckedMs.delete(one);
    }
  }

  private shardOf(key: string): RoomShard | undefined {
    const [namespace = "", name = ""] = key.split("/");
    const found = this.context.mirrors.get(kinds.roomShard, namespace, name);
    if (found === undefined) return undefined;
    const { apiVersion, kind } = kinds.roomShard;
    const validated = validateRoomShard({ ...found, apiVersion, kind });
    if (validated.ok) {
      const { status } = found as Partial<RoomShard>;
      return { ...validated.value, ...(status === undefined ? {} : { status }) };
    }
    // Only an object that was stored by an older schema gets here; its shard goes on as it is.
    const fields = { shard: key, faults: validated.faults };
    this.context.log.warn(fields, "the stored manifest is not valid");
    return undefined;
  }
}
