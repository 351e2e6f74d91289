import { pageEntriesMax } from "#edge/api/limits.ts";
import type { ErrorName } from "#edge/api/errors.ts";
import { refused } from "#edge/connection/intents.ts";
import type {
  PostIntent,
  PostOutcome,
  ReadOutcome,
  Refusal,
  Skip,
} from "#edge/connection/intents.ts";
import { entryMembers } from "#edge/fanout/entry-json.ts";
import { markOf, sees } from "#edge/fanout/entry-mark.ts";
import { extendingCheckpoint, presentedCheckpoint } from "#edge/fanout/checkpoints.ts";
import type { PresentedCheckpoint } from "#edge/fanout/checkpoints.ts";
import { Fanout } from "#edge/fanout/fanout.ts";
import type { FanoutEffect, SubscribeRequest } from "#edge/fanout/fanout.ts";
import type { Outbox } from "#edge/fanout/outbox.ts";
import type { FeedEntry } from "#edge/fanout/room-feed.ts";
import { serverViewer } from "#edge/fanout/subscription.ts";
import { seqFrom } from "#replica/base/brands.ts";
import { textFromUtf8 } from "#replica/base/text.ts";
import type {
  ProofQuestion,
  ReadQuestion,
  ReadRange,
  RoomAnswer,
  RoomName,
} from "#replica/wire/client-message.ts";
import { decodeEntries, splitEntries } from "#replica/wire/entry.ts";
import { decodeStanding } from "#replica/wire/room-standing.ts";
import type { RoomStanding } from "#replica/wire/room-standing.ts";
import type { Viewer } from "#replica/wire/visibility.ts";
import type { Bus } from "./bus.ts";
import { Dispatch } from "./dispatch.ts";
import type { Submit } from "./dispatch.ts";
import { ShardCheckpoints } from "./shard-checkpoints.ts";
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

/** A page as the shard has it, or why there is none. */
export type PageOutcome =
  | { readonly ok: true; readonly page: ReadPage }
  | { readonly ok: false; readonly refusal: Refusal };

/** What somebody may see, or why nothing. */
export type SightOutcome =
  | { readonly ok: true; readonly viewer: Viewer }
  | { readonly ok: false; readonly refusal: Refusal };

/** What somebody is in a room, and the room's position; or why that is not known. */
export type StandingOutcome =
  | {
      readonly ok: true;
      readonly standing: RoomStanding;
      readonly position: RoomAnswer & { readonly code: "ok" };
    }
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
  private readonly checkpoints = new ShardCheckpoints(async (name) => {
    const outcome = await this.prove(name, { kind: "checkpoint", seq: seqFrom(0), limit: 1 });
    return outcome.ok ? outcome.text : null;
  });
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

  /** Creates the room of two people. */
  createDm(name: RoomName, users: readonly [low: string, high: string], done: PostDone): void {
    const submit: Submit = (poster, settled) => poster.createDm(name, ...users, settled);
    this.dispatch.submit(name, submit, done);
  }

  /** Hands a command to the room's shard; of a tenant (empty room) to all, first refusal first. */
  async administer(name: RoomName, act: Submit): Promise<PostOutcome> {
    if (name.room !== "") {
      return await new Promise((resolve) => this.dispatch.submit(name, act, resolve));
    }
    const outcomes = await Promise.all(
      this.shards.all().map(
        ({ poster }) =>
          new Promise<PostOutcome>((resolve) => {
            act(poster, (outcome) => {
              resolve(outcome === "moved" ? refused("NO_LEADER", 1_000) : outcome);
            });
          }),
      ),
    );
    const failed = outcomes.find((outcome) => !outcome.ok);
    return failed ?? outcomes[0] ?? refused("NO_LEADER", 1_000);
  }

  /** Reads committed entries as `user` sees them; null = the tenant's server. */
  async read(name: RoomName, range: ReadRange, user: string | null): Promise<ReadOutcome> {
    const [sight, page] = await Promise.all([this.sight(name, user), this.readPages(name, range)]);
    if (!sight.ok) return sight;
    return page.ok ? pageSeen(page.page, sight.viewer) : page;
  }

  /** A page as the shard has it; one that does not answer at once is asked again for a while. */
  async readPages(name: RoomName, range: ReadRange): Promise<PageOutcome> {
    for (let round = 0; round < 3; round += 1) {
      const page = await this.readOnce(name, range);
      if (page === "no_room") return { ok: false, refusal: { error: "NO_ROOM" } };
      if (page !== null) return { ok: true, page };
      await pause();
    }
    return { ok: false, refusal: { error: "NO_LEADER", retryMs: 500 } };
  }

  /** What a user may see of a room or thread; a refusal when that is nothing. */
  async sight(name: RoomName, user: string | null): Promise<SightOutcome> {
    if (user === null) return { ok: true, viewer: serverViewer };
    const outcome = await this.standing(name, user);
    if (!outcome.ok) return outcome;
    const { mayRead, staff, fromSeq, bannedUntilUs } = outcome.standing;
    if (mayRead) return { ok: true, viewer: { user, staff, fromSeq } };
    return { ok: false, refusal: { error: bannedUntilUs > 0 ? "BANNED" : "DENIED" } };
  }

  /** What a user is in a room or thread. */
  async standing(name: RoomName, user: string): Promise<StandingOutcome> {
    for (let round = 0; round < 3; round += 1) {
      const outcome = await this.ask(name, { kind: "standing", user });
      if (outcome?.answer.code === "no_room") return { ok: false, refusal: { error: "NO_ROOM" } };
      if (outcome?.answer.code === "moved") this.refresh();
      const standing = decodeStanding(outcome?.entries ?? new Uint8Array(0));
      if (outcome?.answer.code === "ok" && standing !== null) {
        return { ok: true, standing, position: outcome.answer };
      }
      await pause();
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

  /** True when the shard of a room has the log of that origin. */
  holdsLog(name: RoomName, origin: string): boolean {
    return this.shards.holdsLog(name, origin);
  }

  /** Pushes the proof that the log of a room's shard extends what a client presented. */
  async extend(outbox: Outbox, name: RoomName, presented: PresentedCheckpoint): Promise<void> {
    // Not the one kept for a second: what is presented may be newer.
    const asked = await this.prove(name, { kind: "checkpoint", seq: seqFrom(0), limit: 1 });
    const newest = asked.ok ? presentedCheckpoint(asked.text) : null;
    // Of a later log, or of another epoch, nothing can be proved: the checkpoints that come say so.
    if (newest?.origin !== presented.origin || newest.size < presented.size) return;
    const question = { kind: "consistency", seq: seqFrom(presented.size), limit: 1 } as const;
    const outcome = await this.prove(name, question);
    const checkpoint = outcome.ok ? extendingCheckpoint(outcome.text) : null;
    if (checkpoint === null) return;
    this.fanout.extended(outbox, name, checkpoint);
    this.pump();
  }

  /** The audit room of a shard, or null when there is no such shard. */
  auditRoomOf(shard: string): RoomName | null {
    return this.shards.auditRoomOf(shard);
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

  /** Asks anew what the outbox's owner may see of a room. */
  recheck(outbox: Outbox, name: RoomName): void {
    this.fanout.recheck(outbox, name);
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
      case "standing":
        void this.answerStanding(effect.outbox, effect.name, effect.user);
        break;
      case "read":
        void this.readPage(effect.name, effect.after);
        break;
      case "checkpoint":
        void this.pushCheckpoint(effect.name);
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

  private async answerStanding(outbox: Outbox, name: RoomName, user: string): Promise<void> {
    const outcome = await this.standing(name, user).catch(() => null);
    if (outcome?.ok === false && outcome.refusal.error === "NO_ROOM") {
      // The watch says so too, and turns everybody away.
      return;
    }
    const standing = outcome?.ok === true ? outcome.standing : null;
    this.fanout.standing(outbox, name, standing, performance.now());
    this.pump();
  }

  private async pushCheckpoint(name: RoomName): Promise<void> {
    const shard = this.shards.of(name);
    const nowMs = performance.now();
    const note = shard === null ? null : await this.checkpoints.of(shard.name, name, nowMs);
    this.fanout.checkpoint(name, note === "" ? null : note, performance.now());
    this.pump();
  }

  private async ask(name: RoomName, question: ReadQuestion) {
    const outcome = await this.shards
      .of(name)
      ?.link.read(name, question)
      .catch(() => null);
    return outcome?.kind === "ok" ? outcome : null;
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
    const { answer } = outcome;
    if (answer.code === "no_room") return "no_room";
    if (answer.code === "moved") this.refresh();
    if (answer.code !== "ok") return null;
    const entries = decodeFeedEntries(outcome.entries);
    if (entries === null) {
      this.malformedCount += 1;
      return null;
    }
    const { epoch, head, floor } = answer;
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

/** A page as the shard has it. */
export interface ReadPage {
  readonly epoch: number;
  readonly head: number;
  readonly floor: number;
  readonly entries: readonly FeedEntry[];
}

function decodeFeedEntries(encoded: Uint8Array): readonly FeedEntry[] | null {
  const entries = decodeEntries(encoded, entriesMax);
  if (entries === null) return null;
  return entries.map((entry) => {
    return { seq: entry.seq, members: entryMembers(entry), mark: markOf(entry) };
  });
}

/** A page as a viewer sees it. */
function pageSeen(page: ReadPage, viewer: Viewer): ReadOutcome {
  const { epoch, head, floor, entries } = page;
  const events: string[] = [];
  const skips: Skip[] = [];
  for (const { seq, members, mark } of entries) {
    const last = skips.at(-1);
    if (sees(viewer, seq, mark)) events.push(`{${members}}`);
    else if (last?.to === seq - 1) skips[skips.length - 1] = { from: last.from, to: seq };
    else skips.push({ from: seq, to: seq });
  }
  return { ok: true, epoch, head, floor, events, skips };
}

async function pause(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 150));
}
