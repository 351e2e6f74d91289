import { assert } from "#replica/base/assert.ts";
import { replicaFrom } from "#replica/base/brands.ts";
import type { ClientId, ReplicaIndex, View } from "#replica/base/brands.ts";
import { type ReaderEffect, type ReadOutcome, RoomReader } from "#replica/client/room-reader.ts";
import { ShardClient, type SubmitOutcome } from "#replica/client/shard-client.ts";
import { sha256 } from "#replica/crypto/hash.ts";
import type {
  ReadQuestion,
  RoomAnswer,
  RoomName,
  ServerMessage,
} from "#replica/wire/client-message.ts";
import { ReplicaConnection } from "./replica-connection.ts";
import type { TlsMaterial } from "./tls-options.ts";

/** Of `read`. */
export type { ReadOutcome } from "#replica/client/room-reader.ts";
/** Of `submit`. */
export type { SubmitOutcome, SubmitRejectReason } from "#replica/client/shard-client.ts";
/** Key, certificate and trust bundle. */
export type { TlsMaterial } from "./tls-options.ts";

/** Where one replica's client port is dialled. */
export interface ShardAddress {
  /** Name or address; names are resolved at every dial. */
  readonly host: string;
  readonly port: number;
}

/** What a link knows of its shard. `primary` is null while no replica says that it leads. */
export interface ShardView {
  readonly view: View;
  readonly primary: ReplicaIndex | null;
  /** Connected replicas, by index. */
  readonly connected: readonly [boolean, boolean, boolean];
}

/** Counters of a link since it was made; for metrics. */
export interface ShardLinkCounts {
  submitted: number;
  completed: number;
  unknown: number;
  rejected: number;
  resent: number;
  /** Connections that became usable. */
  connects: number;
  /** Frames or certificates that were refused. */
  refusals: number;
}

/** How to reach a shard and whom to tell. Callbacks are synchronous and must not throw. */
export interface ShardLinkOptions {
  /** Random name of this process; one link a shard and client id. */
  readonly clientId: ClientId;
  readonly shard: {
    readonly name: string;
    /** 32 hex digits. */
    readonly cluster: string;
    /** By replica index. */
    readonly addresses: readonly [ShardAddress, ShardAddress, ShardAddress];
  };
  readonly tls: TlsMaterial;
  /** From submit to `unknown`, milliseconds; default 10,000. */
  readonly deadlineMs?: number;
  /** From submit to another try on the same connection without an answer; default 1,000. */
  readonly resendMs?: number;
  /** Batches that wait behind the window at most; a further one is rejected busy. Default 64. */
  readonly queueMax?: number;
  /** Committed entries of a watched room, ascending; holes only after a reconnect. */
  readonly onEntries?: (name: RoomName, entries: Uint8Array) => void;
  /** View, primary or connections changed. */
  readonly onView?: (view: ShardView) => void;
  /** A watch was made again at a new primary or connection; `head` shows what was missed. */
  readonly onWatched?: (name: RoomName, answer: RoomAnswer) => void;
  /** A read or watch was answered `moved`. */
  readonly onMoved?: (name: RoomName, answer: RoomAnswer & { readonly code: "moved" }) => void;
  /** Something for the log: a word, and the facts. */
  readonly onLog?: (what: string, facts: Readonly<Record<string, unknown>>) => void;
}

/** A client's connection to one shard; finds its primary by itself. */
export interface ShardLinkPort {
  /** Batches in flight (at most sessionWindowMax) and waiting behind them. */
  readonly inFlightCount: number;
  readonly queuedCount: number;
  /** True when a batch submitted now is sent at once: session open, window free. */
  readonly ready: boolean;
  readonly view: ShardView;
  readonly counts: Readonly<ShardLinkCounts>;
  /**
   * Sends one batch (operation.ts, ≤ requestBodyBytesMax, ≤ requestOperationsMax). `done` is
   * called exactly once, never inside this call. `operations` must stay untouched until then.
   */
  submit(
    operations: Uint8Array,
    operationsCount: number,
    done: (outcome: SubmitOutcome) => void,
  ): void;
  /** Entries, a proof or a standing; from the primary when there is one, else any replica. */
  read(name: RoomName, range: ReadQuestion): Promise<ReadOutcome>;
  /** Entries of the room from now on; kept across reconnects until {@link unwatch}. */
  watch(name: RoomName): Promise<RoomAnswer>;
  unwatch(name: RoomName): void;
  /** A rotated identity or trust bundle: used by every later connection. */
  setTls(tls: TlsMaterial): void;
  /** In-flight batches become unknown; queued ones are rejected. */
  close(): void;
}

/** {@link ShardLinkPort} over three mTLS connections; all decisions are replica/client's. */
export class ShardLink implements ShardLinkPort {
  readonly counts: ShardLinkCounts = {
    submitted: 0,
    completed: 0,
    unknown: 0,
    rejected: 0,
    resent: 0,
    connects: 0,
    refusals: 0,
  };
  private readonly options: ShardLinkOptions;
  private readonly client: ShardClient;
  private readonly reader: RoomReader;
  private readonly connections: readonly ReplicaConnection[];
  private readonly submits = new Map<number, (outcome: SubmitOutcome) => void>();
  private readonly reads = new Map<number, (outcome: ReadOutcome) => void>();
  private readonly watches = new Map<number, (answer: RoomAnswer) => void>();
  private tls: TlsMaterial;
  private timer: NodeJS.Timeout | null = null;
  private timerAtMs = Number.POSITIVE_INFINITY;
  private viewTold = "";
  private closed = false;

  /** Dials at once. */
  constructor(options: ShardLinkOptions) {
    const deadlineMs = options.deadlineMs ?? 10_000;
    const resendMs = options.resendMs ?? 1000;
    const queueMax = options.queueMax ?? 64;
    const { clientId } = options;
    this.options = options;
    this.tls = options.tls;
    this.client = new ShardClient({ clientId, hash: sha256, deadlineMs, resendMs, queueMax });
    this.reader = new RoomReader({ deadlineMs, resendMs });
    this.connections = options.shard.addresses.map((address, index) =>
      this.connectionTo(replicaFrom(index), address),
    );
  }

  get inFlightCount(): number {
    return this.client.inFlightCount;
  }

  get queuedCount(): number {
    return this.client.queuedCount;
  }

  get ready(): boolean {
    return this.client.ready;
  }

  get view(): ShardView {
    const { view, primary, connected } = this.client.primaries;
    return { view, primary, connected };
  }

  submit(
    operations: Uint8Array,
    operationsCount: number,
    done: (outcome: SubmitOutcome) => void,
  ): void {
    this.counts.submitted += 1;
    const token = this.client.submit(operations, operationsCount, performance.now());
    this.submits.set(token, done);
    this.settle(true);
  }

  read(name: RoomName, range: ReadQuestion): Promise<ReadOutcome> {
    if (this.closed) return Promise.resolve({ kind: "unavailable" });
    return new Promise((resolve) => {
      this.reads.set(this.reader.read(name, range, performance.now()), resolve);
      this.settle(true);
    });
  }

  watch(name: RoomName): Promise<RoomAnswer> {
    if (this.closed) return Promise.resolve({ code: "not_ready" });
    return new Promise((resolve) => {
      this.watches.set(this.reader.watch(name, performance.now()), resolve);
      this.settle(true);
    });
  }

  unwatch(name: RoomName): void {
    this.reader.unwatch(name);
    this.settle(false);
  }

  setTls(tls: TlsMaterial): void {
    this.tls = tls;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    if (this.timer !== null) clearTimeout(this.timer);
    for (const connection of this.connections) connection.close();
    this.client.close();
    this.settle(true);
    for (const resolve of this.reads.values()) resolve({ kind: "unavailable" });
    for (const resolve of this.watches.values()) resolve({ code: "not_ready" });
    this.reads.clear();
    this.watches.clear();
  }

  private connectionTo(replica: ReplicaIndex, address: ShardAddress): ReplicaConnection {
    const { clientId, shard } = this.options;
    return new ReplicaConnection({
      clientId,
      cluster: shard.cluster,
      shard: shard.name,
      replica,
      host: address.host,
      port: address.port,
      tls: () => this.tls,
      onConnected: () => {
        this.counts.connects += 1;
        this.client.onConnected(replica, performance.now());
        this.moved(null);
      },
      onDisconnected: () => {
        this.client.onDisconnected(replica, performance.now());
        this.moved(replica);
      },
      onMessage: (message) => this.onMessage(replica, message),
      onRefused: (why) => {
        this.counts.refusals += 1;
        this.options.onLog?.("shard_link_refused", { shard: shard.name, replica, why });
      },
    });
  }

  private onMessage(from: ReplicaIndex, message: ServerMessage): void {
    const nowMs = performance.now();
    this.client.onMessage(from, message, nowMs);
    this.reader.onMessage(from, message, nowMs);
    if (message.kind === "view" || message.kind === "reject") this.moved(null);
    else this.settle(false);
  }

  /** Connections or claims changed: reads and watches follow, the owner is told. */
  private moved(lost: ReplicaIndex | null): void {
    const { primary, readable } = this.client.primaries;
    this.reader.onReplicas(primary, readable, lost, performance.now());
    const view = this.view;
    const told = `${view.view} ${view.primary} ${view.connected.join(" ")}`;
    if (told !== this.viewTold) {
      this.viewTold = told;
      this.options.onView?.(view);
    }
    this.settle(false);
  }

  /** Carries out what the machines want. `later`: a caller's code is not entered from its call. */
  private settle(later: boolean): void {
    for (const effect of this.client.drain()) {
      if (effect.kind === "send") this.connections[effect.to]?.send(effect.message);
      else if (later) process.nextTick(() => this.finish(effect.token, effect.outcome));
      else this.finish(effect.token, effect.outcome);
    }
    for (const effect of this.reader.drain()) this.runReader(effect, later);
    this.counts.resent = this.client.resentCount;
    this.arm();
  }

  private runReader(effect: ReaderEffect, later: boolean): void {
    switch (effect.kind) {
      case "send":
        this.connections[effect.to]?.send(effect.message);
        return;
      case "entries":
        this.options.onEntries?.(effect.name, effect.entries);
        return;
      case "read":
      case "watched":
        if (later) process.nextTick(() => this.answer(effect));
        else this.answer(effect);
        return;
      default:
        effect satisfies never;
    }
  }

  private answer(effect: ReaderEffect & { readonly kind: "read" | "watched" }): void {
    if (effect.kind === "read") {
      this.reads.get(effect.id)?.(effect.outcome);
      this.reads.delete(effect.id);
      return;
    }
    const { id, name, answer } = effect;
    if (answer.code === "moved") this.options.onMoved?.(name, answer);
    if (id === null) {
      this.options.onWatched?.(name, answer);
      return;
    }
    this.watches.get(id)?.(answer);
    this.watches.delete(id);
  }

  private finish(token: number, outcome: SubmitOutcome): void {
    const done = this.submits.get(token);
    assert(done !== undefined, "TRN-04: every batch is answered exactly once");
    this.submits.delete(token);
    if (outcome.kind === "ok") this.counts.completed += 1;
    else this.counts[outcome.kind] += 1;
    done(outcome);
  }

  private arm(): void {
    const wakeMs = Math.min(this.client.wakeAtMs, this.reader.wakeAtMs);
    if (this.closed || wakeMs >= this.timerAtMs) return;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timerAtMs = wakeMs;
    this.timer = setTimeout(() => this.onTimer(), Math.max(1, wakeMs - performance.now()));
  }

  private onTimer(): void {
    this.timerAtMs = Number.POSITIVE_INFINITY;
    this.timer = null;
    const nowMs = performance.now();
    this.client.tick(nowMs);
    this.reader.tick(nowMs);
    this.settle(false);
  }
}
