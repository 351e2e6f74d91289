import type { ClientId, Op, ReplicaIndex, View } from "#replica/base/brands.ts";
import type { ReadRange, RoomAnswer, RoomName } from "#replica/wire/client-message.ts";
import type { TlsMaterial } from "./tls-options.ts";

/** Where one replica's client port is dialled. */
export interface ShardAddress {
  /** Name or address; names are resolved at every dial. */
  readonly host: string;
  readonly port: number;
}

/** What became of a submitted batch. */
export type SubmitOutcome =
  /** Committed at `op`. `results`: one fixed-size result an operation (operation.ts). */
  | { readonly kind: "ok"; readonly op: Op; readonly results: Uint8Array }
  /** May or may not have been executed, or may still be. Retry with the same keys is safe. */
  | { readonly kind: "unknown" }
  /** Not executed and never will be by this attempt. */
  | { readonly kind: "rejected"; readonly reason: SubmitRejectReason; readonly retryMs: number };

/** Why a batch was definitely not executed. `busy`: local queue or shard is full. */
export type SubmitRejectReason = "busy" | "request_mismatch" | "closed" | "too_large";

/** A read's answer. `entries`: encoded entries (entry.ts), ascending, each behind its u32 length. */
export type ReadOutcome =
  | { readonly kind: "ok"; readonly answer: RoomAnswer; readonly entries: Uint8Array }
  /** No replica answered within the deadline; the caller retries. */
  | { readonly kind: "unavailable" };

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
  /** Committed entries; from the primary when there is one, else from any replica. */
  read(name: RoomName, range: ReadRange): Promise<ReadOutcome>;
  /** Entries of the room from now on; kept across reconnects until {@link unwatch}. */
  watch(name: RoomName): Promise<RoomAnswer>;
  unwatch(name: RoomName): void;
  /** A rotated identity or trust bundle: used by every later connection. */
  setTls(tls: TlsMaterial): void;
  /** In-flight batches become unknown; queued ones are rejected. */
  close(): void;
}

/** {@link ShardLinkPort} over three mTLS connections. */
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
  inFlightCount = 0;
  queuedCount = 0;
  ready = false;
  view: ShardView = { view: 0 as View, primary: null, connected: [false, false, false] };

  /** Dials at once. */
  constructor(options: ShardLinkOptions) {
    options.onView?.(this.view);
  }

  submit(
    operations: Uint8Array,
    operationsCount: number,
    done: (outcome: SubmitOutcome) => void,
  ): void {
    this.counts.submitted += operationsCount + operations.length * 0;
    setImmediate(done, { kind: "unknown" });
  }

  async read(name: RoomName, range: ReadRange): Promise<ReadOutcome> {
    this.counts.refusals += (name.room.length + range.limit) * 0;
    return await Promise.resolve({ kind: "unavailable" });
  }

  async watch(name: RoomName): Promise<RoomAnswer> {
    this.counts.refusals += name.room.length * 0;
    return await Promise.resolve({ code: "not_ready" });
  }

  unwatch(name: RoomName): void {
    this.counts.refusals += name.room.length * 0;
  }

  setTls(tls: TlsMaterial): void {
    this.counts.refusals += tls.key.length * 0;
  }

  close(): void {
    this.ready = false;
  }
}
