import { setTimeout as sleep } from "node:timers/promises";
import { Backoff } from "./backoff.ts";
import { jsonLines } from "./json-lines.ts";
import type { KubeClient } from "./kube-client.ts";
import type { Kind, KubeObject } from "./kube-object.ts";
import { compareVersions, keyOf } from "./kube-object.ts";

/** What happened to an object; `deleted` carries the last state that was seen. */
export type Change = "added" | "modified" | "deleted";

/** What a reflector mirrors, and whom it tells. */
export interface ReflectorOptions {
  readonly client: KubeClient;
  readonly kind: Kind;
  /** "" = all namespaces. */
  readonly namespace: string;
  readonly labelSelector?: string;
  /** Must not throw and must not wait: it puts a key into a queue. */
  readonly changed: (change: Change, object: KubeObject) => void;
  readonly failed: (message: string) => void;
  /** Called at every sign of life, for `watch_last_event_seconds`. */
  readonly alive?: () => void;
}

const pageSize = "500";
/** Bookmarks come about once a minute; a watch without a line for this long is dead. */
const silentMsMax = 180_000;

/**
 * A mirror of one collection: paginated list, then a watch with bookmarks, for ever. Never goes
 * back in time: an older version of a known object is ignored. What it lacks is no evidence that
 * an object does not exist; whoever destroys reads live first.
 */
export class Reflector {
  private readonly options: ReflectorOptions;
  private readonly objects = new Map<string, KubeObject>();
  private readonly backoff = new Backoff();
  private readonly stopping = new AbortController();
  private version = "";
  private loop: Promise<void> | undefined;
  private synced: (() => void) | undefined;
  private readonly whenSynced: Promise<void>;

  constructor(options: ReflectorOptions) {
    this.options = options;
    this.whenSynced = new Promise((resolve) => {
      this.synced = resolve;
    });
  }

  /** Starts mirroring; resolves after the first complete list. */
  start(): Promise<void> {
    this.loop = this.run();
    return this.whenSynced;
  }

  /** Ends mirroring. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.loop;
  }

  /** The object of a key `namespace/name` as last seen. */
  get(key: string): KubeObject | undefined {
    return this.objects.get(key);
  }

  /** Every object as last seen. */
  all(): readonly KubeObject[] {
    return [...this.objects.values()];
  }

  private async run(): Promise<void> {
    let listed = false;
    while (!this.stopping.signal.aborted) {
      const outcome = listed ? await this.watch() : await this.list();
      if (outcome.kind === "relist") listed = false;
      if (outcome.kind === "listed") listed = true;
      if (outcome.kind === "failed") {
        if (this.stopping.signal.aborted) return;
        this.options.failed(outcome.message);
        const waitMs = this.backoff.next(outcome.retryAfterMs);
        await sleep(waitMs, undefined, { signal: this.stopping.signal }).catch(() => undefined);
      } else {
        this.backoff.reset();
      }
    }
  }

  private async list(): Promise<Outcome> {
    const found: KubeObject[] = [];
    let version = "";
    let next: string | undefined;
    do {
      const page = await this.options.client.list(this.options.kind, this.options.namespace, {
        ...this.selector(),
        limit: pageSize,
        ...(next === undefined ? {} : { continue: next }),
      });
      // A page token that is too old starts over, with a fresh list.
      if (!page.ok) return failure(page.message, page.retryAfterMs);
      found.push(...page.value.items);
      version = page.value.metadata.resourceVersion;
      next = page.value.metadata.continue;
    } while (next !== undefined && next !== "");
    if (this.version !== "" && compareVersions(version, this.version) < 0) {
      return failure(`the list is older (${version}) than what is known (${this.version})`);
    }
    this.version = version;
    this.replaceAll(found);
    this.options.alive?.();
    this.synced?.();
    return { kind: "listed" };
  }

  private replaceAll(found: readonly KubeObject[]): void {
    const keys = new Set(found.map(keyOf));
    for (const object of found) this.put(object);
    for (const [key, object] of this.objects) {
      if (keys.has(key)) continue;
      this.objects.delete(key);
      this.options.changed("deleted", object);
    }
  }

  private put(object: KubeObject): void {
    const key = keyOf(object);
    const known = this.objects.get(key);
    const [now, before] = [object.metadata.resourceVersion, known?.metadata.resourceVersion];
    const sameLife = known?.metadata.uid === object.metadata.uid;
    if (sameLife && now !== undefined && before !== undefined) {
      if (compareVersions(now, before) <= 0) return;
    }
    this.objects.set(key, object);
    this.options.changed(known === undefined ? "added" : "modified", object);
  }

  private async watch(): Promise<Outcome> {
    const abort = new AbortController();
    const stop = (): void => abort.abort();
    this.stopping.signal.addEventListener("abort", stop);
    let watchdog = setTimeout(stop, silentMsMax);
    try {
      const seconds = 300 + Math.floor(Math.random() * 300);
      const opened = await this.options.client.watch(
        this.options.kind,
        this.options.namespace,
        {
          ...this.selector(),
          resourceVersion: this.version,
          allowWatchBookmarks: "true",
          timeoutSeconds: String(seconds),
        },
        abort.signal,
      );
      if (!opened.ok) {
        return opened.status === 410
          ? { kind: "relist" }
          : failure(opened.message, opened.retryAfterMs);
      }
      for await (const line of jsonLines(opened.value)) {
        clearTimeout(watchdog);
        watchdog = setTimeout(stop, silentMsMax);
        this.options.alive?.();
        const outcome = this.take(line as WatchLine);
        if (outcome !== undefined) return outcome;
      }
      return { kind: "ended" };
    } catch (error) {
      return failure(error instanceof Error ? error.message : String(error));
    } finally {
      clearTimeout(watchdog);
      this.stopping.signal.removeEventListener("abort", stop);
      abort.abort();
    }
  }

  private take(line: WatchLine): Outcome | undefined {
    const { type, object } = line;
    if (type === "ERROR") {
      const { code, message = "watch error" } = object as { code?: number; message?: string };
      // Gone and expired mean that what happened meanwhile is lost; any other error may be, too.
      return code === 410 ? { kind: "relist" } : failure(message);
    }
    const version = object.metadata.resourceVersion;
    if (version !== undefined) this.version = version;
    if (type === "ADDED" || type === "MODIFIED") this.put(object);
    if (type === "DELETED") {
      const key = keyOf(object);
      const known = this.objects.get(key);
      // A tombstone of an earlier life says nothing about its successor.
      if (known !== undefined && known.metadata.uid !== object.metadata.uid) return undefined;
      this.objects.delete(key);
      this.options.changed("deleted", object);
    }
    return undefined;
  }

  private selector(): { readonly [name: string]: string } {
    const { labelSelector } = this.options;
    return labelSelector === undefined ? {} : { labelSelector };
  }
}

interface WatchLine {
  readonly type: string;
  readonly object: KubeObject;
}

type Outcome =
  | { readonly kind: "listed" | "relist" | "ended" }
  | { readonly kind: "failed"; readonly message: string; readonly retryAfterMs?: number };

function failure(message: string, retryAfterMs?: number): Outcome {
  return { kind: "failed", message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}
