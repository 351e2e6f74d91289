import { assert } from "#replica/base/assert.ts";
import { opFrom } from "#replica/base/brands.ts";
import type { ClientId, Op, ReplicaIndex } from "#replica/base/brands.ts";
import {
  requestBodyBytesMax,
  requestOperationsMax,
  sessionWindowMax,
} from "#replica/base/limits.ts";
import { Ring } from "#replica/base/ring.ts";
import type { ClientMessage, ServerMessage } from "#replica/wire/client-message.ts";
import type { Hash } from "#replica/wire/frame.ts";
import type { RequestHeader } from "#replica/wire/prepare.ts";
import { PrimaryFinder } from "./primary-finder.ts";

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

/** What a client wants done, in order. */
export type ClientEffect =
  | { readonly kind: "send"; readonly to: ReplicaIndex; readonly message: ClientMessage }
  | { readonly kind: "done"; readonly token: number; readonly outcome: SubmitOutcome };

/** Times in milliseconds. */
export interface ShardClientOptions {
  readonly clientId: ClientId;
  readonly hash: Hash;
  /** From submit to `unknown` (or `busy` when it was never sent). */
  readonly deadlineMs: number;
  /** From sending to sending again on the same connection without an answer. */
  readonly resendMs: number;
  /** Batches that wait behind the window at most. */
  readonly queueMax: number;
}

interface Waiting {
  readonly token: number;
  readonly body: Uint8Array;
  readonly operationsCount: number;
  readonly deadlineMs: number;
}

interface InFlight extends Waiting {
  readonly header: RequestHeader;
  /** When it was sent last to the present primary; null = to be sent. */
  sentMs: number | null;
  /** The caller has been told `unknown`; it stays, since the session's numbers are dense. */
  abandoned: boolean;
  sendsCount: number;
}

type ServerMessageOf<K extends ServerMessage["kind"]> = ServerMessage & { readonly kind: K };

const retryMs = 100;
/** From a primary's refusal to asking it again although it said nothing new, ms. */
const forgiveMs = 25;

/**
 * A client's session with one shard (rule A9): registers, numbers requests densely, keeps at most
 * sessionWindowMax in flight, sends a request again with the same number and body until it is
 * answered, finds the primary. Time comes with every call; effects are drained after it.
 */
export class ShardClient {
  readonly primaries = new PrimaryFinder();
  /** Requests sent again since the start. */
  resentCount = 0;
  private readonly options: ShardClientOptions;
  private readonly queue: Ring<Waiting>;
  /** In order of their numbers, gapless. */
  private window: InFlight[] = [];
  private effects: ClientEffect[] = [];
  private session: Op | null = null;
  private sessionLost: Op | null = null;
  private registerSentMs: number | null = null;
  private requestNumberLast = 0;
  private pausedUntilMs = 0;
  private target: ReplicaIndex | null = null;
  private forgiveAtMs = Number.POSITIVE_INFINITY;
  private tokenNext = 1;
  private closed = false;

  constructor(options: ShardClientOptions) {
    assert(options.deadlineMs > 0 && options.resendMs > 0, "CLI-01: times are above zero");
    this.options = options;
    this.queue = new Ring(options.queueMax);
  }

  /** Batches sent and not yet answered. */
  get inFlightCount(): number {
    return this.window.length;
  }

  /** Batches that wait for room in the window. */
  get queuedCount(): number {
    return this.queue.count;
  }

  /** True when a batch submitted now is sent at once. */
  get ready(): boolean {
    const open = this.session !== null && this.target !== null && this.queue.count === 0;
    return open && this.window.length < sessionWindowMax;
  }

  /** When {@link tick} wants to be called next; Infinity = not before another event. */
  get wakeAtMs(): number {
    let wake = Number.POSITIVE_INFINITY;
    if (this.closed) return wake;
    wake = this.forgiveAtMs;
    const first = this.queue.at(0);
    if (first !== undefined) wake = Math.min(wake, first.deadlineMs);
    for (const item of this.window) {
      if (!item.abandoned) wake = Math.min(wake, item.deadlineMs);
      if (item.sentMs !== null) wake = Math.min(wake, item.sentMs + this.options.resendMs);
      else if (this.target !== null) wake = Math.min(wake, this.pausedUntilMs);
    }
    if (this.registerSentMs !== null) {
      wake = Math.min(wake, this.registerSentMs + this.options.resendMs);
    }
    return wake;
  }

  /** Takes the effects since the last call. */
  drain(): readonly ClientEffect[] {
    const effects = this.effects;
    this.effects = [];
    return effects;
  }

  /** Takes a batch; its outcome comes as an effect with the returned token. */
  submit(body: Uint8Array, operationsCount: number, nowMs: number): number {
    const token = this.tokenNext;
    this.tokenNext += 1;
    if (this.closed) this.reject(token, "closed", 0);
    else if (body.length > requestBodyBytesMax || operationsCount > requestOperationsMax) {
      this.reject(token, "too_large", 0);
    } else {
      const deadlineMs = nowMs + this.options.deadlineMs;
      if (this.queue.tryPush({ token, body, operationsCount, deadlineMs })) this.pump(nowMs);
      else this.reject(token, "busy", retryMs);
    }
    return token;
  }

  /** A connection to a replica can be used; its hello was sent. */
  onConnected(replica: ReplicaIndex, nowMs: number): void {
    this.primaries.setConnected(replica, true);
    this.retarget(nowMs);
  }

  /** A connection is gone: what was sent on it is sent again elsewhere. */
  onDisconnected(replica: ReplicaIndex, nowMs: number): void {
    this.primaries.setConnected(replica, false);
    this.retarget(nowMs);
  }

  /** A frame from a replica. Reads and watches are not this class's matter. */
  onMessage(from: ReplicaIndex, message: ServerMessage, nowMs: number): void {
    if (this.closed) return;
    switch (message.kind) {
      case "view":
        this.primaries.onView(from, message.view, message.normal);
        this.retarget(nowMs);
        return;
      case "registered":
        this.onRegistered(message, nowMs);
        return;
      case "reply":
        this.onReply(message, nowMs);
        return;
      case "reject":
        this.onReject(from, message, nowMs);
        return;
      default:
        return;
    }
  }

  /** Time has come to {@link wakeAtMs}; any other moment is fine too. */
  tick(nowMs: number): void {
    if (nowMs >= this.forgiveAtMs) {
      this.forgiveAtMs = Number.POSITIVE_INFINITY;
      this.primaries.forgive();
      this.retarget(nowMs);
    }
    while ((this.queue.at(0)?.deadlineMs ?? Number.POSITIVE_INFINITY) <= nowMs) {
      const late = this.queue.shift();
      // Never sent, so this is definite.
      if (late !== undefined) this.reject(late.token, "busy", retryMs);
    }
    for (const item of this.window) {
      if (item.deadlineMs <= nowMs) this.abandon(item);
      if (item.sentMs !== null && nowMs - item.sentMs >= this.options.resendMs) item.sentMs = null;
    }
    if (this.registerSentMs !== null && nowMs - this.registerSentMs >= this.options.resendMs) {
      this.registerSentMs = null;
    }
    this.pump(nowMs);
  }

  /** In-flight batches become unknown, queued ones are rejected; nothing is sent any more. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const item of this.window) this.abandon(item);
    this.window = [];
    for (let item = this.queue.shift(); item !== undefined; item = this.queue.shift()) {
      this.reject(item.token, "closed", 0);
    }
  }

  /** The primary or its connection may have changed: everything in flight is sent anew if so. */
  private retarget(nowMs: number): void {
    const primary = this.closed ? null : this.primaries.primary;
    if (primary === this.target) return;
    this.target = primary;
    this.registerSentMs = null;
    this.pausedUntilMs = 0;
    for (const item of this.window) item.sentMs = null;
    this.pump(nowMs);
  }

  private pump(nowMs: number): void {
    if (this.closed || this.target === null || nowMs < this.pausedUntilMs) return;
    if (this.session === null) {
      if (this.registerSentMs !== null) return;
      this.registerSentMs = nowMs;
      const { clientId } = this.options;
      this.effects.push({ kind: "send", to: this.target, message: { kind: "register", clientId } });
      return;
    }
    this.fillWindow(this.session);
    for (const item of this.window) {
      if (item.sentMs === null) this.sendRequest(this.target, item, nowMs);
    }
  }

  /** The window is a range of numbers: a gap in it counts, since the shard takes them in order. */
  private fillWindow(session: Op): void {
    for (;;) {
      const lowest = this.window[0]?.header.requestNumber ?? this.requestNumberLast + 1;
      if (this.requestNumberLast + 1 - lowest >= sessionWindowMax) return;
      const next = this.queue.shift();
      if (next === undefined) return;
      this.requestNumberLast += 1;
      const header: RequestHeader = {
        session,
        requestNumber: this.requestNumberLast,
        requestChecksum: this.options.hash(next.body),
        clientId: this.options.clientId,
        operationsCount: next.operationsCount,
      };
      this.window.push({ ...next, header, sentMs: null, abandoned: false, sendsCount: 0 });
      assert(this.window.length <= sessionWindowMax, "CLI-02: the window is bounded");
    }
  }

  private sendRequest(to: ReplicaIndex, item: InFlight, nowMs: number): void {
    const { header, body } = item;
    const viewKnown = this.primaries.view;
    item.sentMs = nowMs;
    item.sendsCount += 1;
    if (item.sendsCount > 1) this.resentCount += 1;
    const message: ClientMessage = { kind: "request", header, viewKnown, body };
    this.effects.push({ kind: "send", to, message });
  }

  private onRegistered(message: ServerMessageOf<"registered">, nowMs: number): void {
    if (message.clientId !== this.options.clientId || this.session !== null) return;
    // A late answer about the session that was evicted since is no session.
    if (this.sessionLost !== null && message.session <= this.sessionLost) return;
    assert(this.window.length === 0, "CLI-03: a new session begins with an empty window");
    this.session = opFrom(message.session);
    this.registerSentMs = null;
    this.requestNumberLast = 0;
    this.pump(nowMs);
  }

  private onReply(message: ServerMessageOf<"reply">, nowMs: number): void {
    const item = this.find(message.session, message.requestNumber);
    if (item === null || item.header.requestChecksum !== message.requestChecksum) return;
    this.finish(item, { kind: "ok", op: message.op, results: message.body });
    this.pump(nowMs);
  }

  private onReject(from: ReplicaIndex, message: ServerMessageOf<"reject">, nowMs: number): void {
    if (message.session === 0 && this.session === null) {
      this.onRegisterRejected(from, message, nowMs);
      return;
    }
    const item = this.find(message.session, message.requestNumber);
    if (item === null) return;
    switch (message.reason) {
      case "not_primary":
        // A late word of a former primary says nothing about the present one.
        if (from !== this.target) return;
        item.sentMs = null;
        this.refused(from, nowMs);
        return;
      case "busy":
      case "out_of_order":
        item.sentMs = null;
        this.pausedUntilMs = Math.max(this.pausedUntilMs, nowMs + Math.max(1, message.retryMs));
        return;
      case "no_session":
        this.loseSession(nowMs);
        return;
      case "request_mismatch":
        this.finish(item, { kind: "rejected", reason: "request_mismatch", retryMs: 0 });
        this.pump(nowMs);
        return;
      default:
        message.reason satisfies never;
    }
  }

  private onRegisterRejected(
    from: ReplicaIndex,
    message: ServerMessageOf<"reject">,
    nowMs: number,
  ): void {
    if (message.reason === "not_primary") {
      if (from === this.target) this.refused(from, nowMs);
    } else if (this.registerSentMs !== null) {
      // Sent again as if its answer were overdue.
      this.registerSentMs = nowMs + Math.max(1, message.retryMs) - this.options.resendMs;
    }
  }

  private refused(from: ReplicaIndex, nowMs: number): void {
    this.primaries.onNotPrimary(from);
    if (this.forgiveAtMs === Number.POSITIVE_INFINITY) this.forgiveAtMs = nowMs + forgiveMs;
    this.retarget(nowMs);
  }

  /** Evicted: what was in flight may have been executed; only its end-to-end keys can tell. */
  private loseSession(nowMs: number): void {
    for (const item of this.window) this.abandon(item);
    this.window = [];
    this.sessionLost = this.session;
    this.session = null;
    this.registerSentMs = null;
    this.pump(nowMs);
  }

  private find(session: Op, requestNumber: number): InFlight | null {
    if (session !== this.session) return null;
    return this.window.find((item) => item.header.requestNumber === requestNumber) ?? null;
  }

  private finish(item: InFlight, outcome: SubmitOutcome): void {
    this.window.splice(this.window.indexOf(item), 1);
    if (!item.abandoned) this.effects.push({ kind: "done", token: item.token, outcome });
  }

  private abandon(item: InFlight): void {
    if (item.abandoned) return;
    item.abandoned = true;
    this.effects.push({ kind: "done", token: item.token, outcome: { kind: "unknown" } });
  }

  private reject(token: number, reason: SubmitRejectReason, retry: number): void {
    const outcome = { kind: "rejected", reason, retryMs: retry } as const;
    this.effects.push({ kind: "done", token, outcome });
  }
}
