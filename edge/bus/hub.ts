import { pageEntriesMax } from "#edge/api/limits.ts";
import type { ErrorName } from "#edge/api/errors.ts";
import type { PostIntent, ReadOutcome, Refusal } from "#edge/connection/intents.ts";
import { entryMembers } from "#edge/fanout/entry-json.ts";
import { Fanout } from "#edge/fanout/fanout.ts";
import type { FanoutEffect, SubscribeRequest } from "#edge/fanout/fanout.ts";
import type { Outbox } from "#edge/fanout/outbox.ts";
import type { FeedEntry } from "#edge/fanout/room-feed.ts";
import { seqFrom } from "#replica/base/brands.ts";
import { textFromUtf8 } from "#replica/base/text.ts";
import type {
  ProofQuestion,
  ReadRange,
  RoomAnswer,
  RoomName,
} from "#replica/wire/client-message.ts";
import { decodeEntries, splitEntries } from "#replica/wire/entry.ts";
import type { Bus } from "./bus.ts";
import { Dispatch } from "./dispatch.ts";
import type { Submit } from "./dispatch.ts";
import type { PostDone } from "./shard-poster.ts";
import type { Shards } from "./shards.ts";

/** The owner of an outbox: a socket or a stream. Calls are synchronous and must not throw. */
export interface Listener {
  /** Something may wait in the outbox. */
  flush(): void;
  /** The attach with this id succeeded. */
  attached(id: string, room: string): void;
  /** The attach with this id failed, or (empty id) the room was detached. */
  refused(id: string, room: string, error: ErrorName): void;
}

/** A proof as text, empty when there is nothing to prove; or why there is none. */
export type ProofOutcome =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly refusal: Refusal };

/** Entries of one push or page at most; a frame of the shard holds fewer. */
const entriesMax = 65_536;

/**
 * The fan-out with its world: runs its effects over bus and shards, keeps its timer, and is the one
 * door through which sockets and HTTP calls post, read and follow.
 */
export class Hub {
  readonly fanout: Fanout;
  /** Pushes and pages that could not be decoded; anything but 0 is a bug somewhere. */
  malformedCount = 0;
  private readonly shards: Shards;
  private readonly bus: Bus;
  private readonly dispatch: Dispatch;
  private readonly refresh: () => void;
  private readonly listeners = new Map<Outbox, Listener>();
  private timer: NodeJS.Timeout | null = null;
  private timerMs = Number.POSITIVE_INFINITY;
  private pumping = false;

  /** `roomsMax`: rooms followed at once. `refresh` reads the routing table again, at once. */
  constructor(shards: Shards, bus: Bus, roomsMax: number, refresh: () => void) {
    this.shards = shards;
    this.bus = bus;
    this.refresh = refresh;
    this.dispatch = new Dispatch(shards, refresh);
    this.fanout = new Fanout(roomsMax);
  }

  /** Posts an entry; `done` is never called inside this call. */
  post(intent: PostIntent, done: PostDone): void {
    const submit: Submit = (poster, settled) => poster.post(intent, settled);
    this.dispatch.submit(intent.name, submit, done);
  }

  /** Creates a room. */
  createRoom(name: RoomName, creator: string, done: PostDone): void {
    const submit: Submit = (poster, settled) => poster.createRoom(name, creator, settled);
    this.dispatch.submit(name, submit, done);
  }

  /** Reads committed entries; a shard that does not answer at once is asked again for a while. */
  async read(name: RoomName, range: ReadRange): Promise<ReadOutcome> {
    for (let round = 0; round < 3; round += 1) {
      const page = await this.readOnce(name, range);
      if (page === "no_room") return { ok: false, refusal: { error: "NO_ROOM" } };
      if (page !== null) {
        const { epoch, head, floor, entries } = page;
        return {
          ok: true,
          epoch,
          head,
          floor,
          events: entries.map(({ members }) => `{${members}}`),
        };
      }
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    return { ok: false, refusal: { error: "NO_LEADER", retryMs: 500 } };
  }

  /** Asks a room's shard for a proof; what is not there yet is waited for a while. */
  async prove(name: RoomName, question: ProofQuestion): Promise<ProofOutcome> {
    const later = { ok: false, refusal: { error: "NO_LEADER", retryMs: 500 } } as const;
    const shard = this.shards.of(name);
    const outcome = await shard?.link.read(name, question).catch(() => null);
    if (outcome?.kind !== "ok") return later;
    const { answer, entries } = outcome;
    if (answer.code === "no_room") return { ok: false, refusal: { error: "NO_ROOM" } };
    if (answer.code === "moved") this.refresh();
    const text = textFromUtf8(entries);
    return answer.code === "ok" && text !== null ? { ok: true, text } : later;
  }

  /** Encoded entries as the shard has them, for an export; null when it does not answer. */
  async readEncoded(name: RoomName, range: ReadRange): Promise<readonly Uint8Array[] | null> {
    for (let round = 0; round < 3; round += 1) {
      const outcome = await this.shards
        .of(name)
        ?.link.read(name, range)
        .catch(() => null);
      if (outcome?.kind === "ok" && outcome.answer.code === "ok") {
        return splitEntries(outcome.entries, entriesMax);
      }
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    return null;
  }

  /** Follows a room for an outbox. */
  subscribe(request: SubscribeRequest, listener: Listener): void {
    this.listeners.set(request.outbox, listener);
    this.fanout.subscribe(request, performance.now());
    this.pump();
  }

  /** Stops to follow. */
  unsubscribe(outbox: Outbox, name: RoomName): void {
    this.fanout.unsubscribe(outbox, name, performance.now());
    this.pump();
  }

  /** The outbox's owner is gone. */
  leave(outbox: Outbox): void {
    this.fanout.leave(outbox, performance.now());
    this.listeners.delete(outbox);
    this.pump();
  }

  /** A passing sign to the others. */
  signal(name: RoomName, kind: string, from: string, sender: Outbox): void {
    this.fanout.signal(name, kind, from, sender);
    this.pump();
  }

  /** The outbox is empty again after it was not. */
  drained(outbox: Outbox): void {
    this.fanout.drained(outbox, performance.now());
    this.pump();
  }

  /** Entries came over the bus. */
  entries(name: RoomName, encoded: Uint8Array): void {
    const entries = decodeFeedEntries(encoded);
    if (entries === null) this.malformedCount += 1;
    else this.fanout.entries(name, entries, performance.now());
    this.pump();
  }

  /** A watch was made again. */
  watched(name: RoomName, answer: RoomAnswer): void {
    this.fanout.watched(name, answer, performance.now());
    this.pump();
  }

  /** Routing has changed: every followed room is watched where it is now. */
  rerouted(): void {
    for (const name of this.fanout.names()) this.watch(name);
  }

  /** Operations that a shard said were another's. */
  get movedCount(): number {
    return this.dispatch.movedCount;
  }

  /** No timer is left behind. */
  close(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  /** Runs effects and flushes outboxes once the current turn's calls are through. */
  private pump(): void {
    if (this.pumping) return;
    this.pumping = true;
    queueMicrotask(() => {
      this.pumping = false;
      for (const effect of this.fanout.drain()) this.run(effect);
      for (const outbox of this.fanout.takeDirty()) this.listeners.get(outbox)?.flush();
      this.schedule();
    });
  }

  private run(effect: FanoutEffect): void {
    switch (effect.kind) {
      case "watch":
        this.watch(effect.name);
        break;
      case "unwatch":
        this.bus.unwatch(effect.name);
        break;
      case "read":
        void this.readPage(effect.name, effect.after);
        break;
      case "attached":
        this.listeners.get(effect.outbox)?.attached(effect.id, effect.room);
        break;
      case "refused":
        this.listeners.get(effect.outbox)?.refused(effect.id, effect.room, effect.error);
        break;
      default:
        effect satisfies never;
    }
  }

  private watch(name: RoomName): void {
    const settle = (answer: RoomAnswer | null) => {
      this.fanout.watched(name, answer, performance.now());
      this.pump();
    };
    this.bus.watch(name).then(settle, () => settle(null));
  }

  private async readPage(name: RoomName, after: number): Promise<void> {
    const range = { kind: "after" as const, seq: seqFrom(after), limit: pageEntriesMax };
    const page = await this.readOnce(name, range);
    this.fanout.page(name, after, page === "no_room" ? null : page, performance.now());
    this.pump();
  }

  private async readOnce(name: RoomName, range: ReadRange): Promise<ReadPage | "no_room" | null> {
    const shard = this.shards.of(name);
    if (shard === null) return null;
    const outcome = await shard.link.read(name, range).catch(() => null);
    if (outcome === null || outcome.kind !== "ok") return null;
    if (outcome.answer.code === "no_room") return "no_room";
    if (outcome.answer.code === "moved") this.refresh();
    if (outcome.answer.code !== "ok") return null;
    const entries = decodeFeedEntries(outcome.entries);
    if (entries === null) {
      this.malformedCount += 1;
      return null;
    }
    const { epoch, head, floor } = outcome.answer;
    return { epoch, head, floor, entries };
  }

  private schedule(): void {
    const nowMs = performance.now();
    const dueMs = this.fanout.deadlineMs(nowMs);
    if (this.timer !== null && dueMs >= this.timerMs) return;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.timerMs = dueMs;
    if (dueMs === Number.POSITIVE_INFINITY) return;
    this.timer = setTimeout(
      () => {
        this.timer = null;
        this.fanout.tick(performance.now());
        this.pump();
      },
      Math.max(1, Math.ceil(dueMs - nowMs)),
    );
  }
}

interface ReadPage {
  readonly epoch: number;
  readonly head: number;
  readonly floor: number;
  readonly entries: readonly FeedEntry[];
}

function decodeFeedEntries(encoded: Uint8Array): readonly FeedEntry[] | null {
  const entries = decodeEntries(encoded, entriesMax);
  return entries?.map((entry) => ({ seq: entry.seq, members: entryMembers(entry) })) ?? null;
}
