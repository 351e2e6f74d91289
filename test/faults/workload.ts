import { randomBytes } from "node:crypto";
import { type Seq, seqFrom } from "#replica/base/brands.ts";
import { readEntriesMax } from "#replica/base/limits.ts";
import { textFromUtf8, utf8From } from "#replica/base/text.ts";
import type { ShardLink, ShardLinkOptions, SubmitOutcome } from "#replica/transport/shard-link.ts";
import { decodeEntries } from "#replica/wire/entry.ts";
import {
  appendCreateRoom,
  appendPost,
  createRoomBytes,
  type PostFields,
  postBytes,
  readResult,
} from "#replica/wire/operation.ts";
import type { History, SeenEntry } from "./history.ts";

/** What a workload needs of a shard. */
export interface LinkMaker {
  link(options?: Partial<ShardLinkOptions>): ShardLink;
}

/** Sizes of a workload. */
export interface WorkloadShape {
  /** Sessions, each a link of its own. Default 4. */
  readonly clients?: number;
  /** Default 3. */
  readonly rooms?: number;
  /** Loops of one client in one room. Default 1. */
  readonly writers?: number;
  /** Between a writer's answer and its next post, ms. Default 10. */
  readonly pauseMs?: number;
  /** Of a message. Default 100. */
  readonly bodyBytes?: number;
}

const noTenant = new Uint8Array(0);
/** From submit to `unknown`: short, so that retries under the same key are many. */
const deadlineMs = 1_500;
const retryMs = 20;
const peekMs = 100;
const peekEntries = 10;
/** How long a stopped writer goes on asking for the fate of its last post. */
const fateMs = 5_000;

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function submit(link: ShardLink, operations: Uint8Array): Promise<SubmitOutcome> {
  return new Promise((resolve) => link.submit(operations, 1, resolve));
}

/** A fresh UUIDv7. */
function keyNow(): Uint8Array {
  const key = new Uint8Array(randomBytes(16));
  const view = new DataView(key.buffer);
  const nowMs = Date.now();
  view.setUint16(0, Math.floor(nowMs / 2 ** 32));
  view.setUint32(2, nowMs % 2 ** 32);
  key[6] = 0x70 | ((key[6] ?? 0) & 0x0f);
  key[8] = 0x80 | ((key[8] ?? 0) & 0x3f);
  return key;
}

function seenFrom(list: Uint8Array): SeenEntry[] | null {
  const entries = decodeEntries(list, readEntriesMax);
  if (entries === null) return null;
  return entries.map(({ seq, key, sender, body }) => {
    return { seq, key: Buffer.from(key).toString("hex"), sender, body: textFromUtf8(body) ?? "" };
  });
}

/**
 * Real clients of a shard: each posts to every room, retries under the same key until it is told
 * the seq, peeks at rooms and watches them; all goes into a history.
 */
export class Workload {
  readonly rooms: readonly string[];
  private readonly shard: LinkMaker;
  private readonly history: History;
  private readonly shape: Required<WorkloadShape>;
  private readonly heads = new Map<string, number>();
  private readonly loops: Promise<void>[] = [];
  private readonly links: ShardLink[] = [];
  private stoppedMs = Number.POSITIVE_INFINITY;

  private constructor(shard: LinkMaker, history: History, shape: WorkloadShape) {
    const defaults = { clients: 4, rooms: 3, writers: 1, pauseMs: 10, bodyBytes: 100 };
    this.shard = shard;
    this.history = history;
    this.shape = { ...defaults, ...shape };
    this.rooms = ["alpha", "beta", "gamma", "delta", "epsilon"].slice(0, this.shape.rooms);
  }

  /** Creates the rooms and starts the clients. */
  static async start(
    shard: LinkMaker,
    history: History,
    shape: WorkloadShape = {},
  ): Promise<Workload> {
    const load = new Workload(shard, history, shape);
    for (let client = 0; client < load.shape.clients; client += 1) {
      const link = shard.link({
        deadlineMs,
        onEntries: (name, list) => load.pushed(client, name.room, list),
      });
      if (client === 0) for (const room of load.rooms) await load.createRoom(link, room);
      load.links.push(link);
      load.startClient(link, client);
    }
    return load;
  }

  /** Waits until so many more posts are acknowledged; throws when they are not in time. */
  async waitForAcks(count: number, limitMs = 60_000): Promise<void> {
    const wanted = this.history.acknowledged + count;
    const untilMs = performance.now() + limitMs;
    while (this.history.acknowledged < wanted) {
      if (performance.now() > untilMs) {
        const missing = wanted - this.history.acknowledged;
        throw new Error(`${missing} of ${count} posts were not acknowledged in ${limitMs} ms`);
      }
      await sleep(20);
    }
  }

  /** Ends the clients; what is not answered within seconds stays an unknown outcome. */
  async stop(): Promise<void> {
    this.stoppedMs = Math.min(this.stoppedMs, performance.now());
    await Promise.all(this.loops);
    for (const link of this.links) link.close();
  }

  /** Reads every room whole, each through a primary that has just acknowledged a post. */
  async readAll(): Promise<void> {
    const link = this.shard.link({ deadlineMs });
    for (const room of this.rooms) {
      await this.post(link, room, this.shape.clients, "last", performance.now() + 20_000);
      const callMs = performance.now();
      const entries = await this.readWhole(link, room);
      const head = entries.at(-1)?.seq ?? 0;
      const facts = { room, client: this.shape.clients, head, entries };
      this.history.looks.push({ kind: "read", callMs, returnMs: performance.now(), ...facts });
    }
    link.close();
  }

  private startClient(link: ShardLink, client: number): void {
    for (const room of this.rooms) {
      link.watch({ tenant: "", room }).catch(() => undefined);
      for (let n = 0; n < this.shape.writers; n += 1) {
        this.loops.push(this.write(link, room, client, `writer-${client}-${n}`));
      }
    }
    this.loops.push(this.peekOn(link, client));
  }

  private get running(): boolean {
    return this.stoppedMs === Number.POSITIVE_INFINITY;
  }

  private async write(link: ShardLink, room: string, client: number, as: string): Promise<void> {
    for (let index = 0; this.running; index += 1) {
      await this.post(link, room, client, `${as}-${room}`, Number.POSITIVE_INFINITY, index);
      await sleep(this.shape.pauseMs);
    }
  }

  /** One post, retried under its key until it is acknowledged or time is up. */
  private async post(
    link: ShardLink,
    room: string,
    client: number,
    sender: string,
    untilMs: number,
    index = 0,
  ): Promise<void> {
    const key = keyNow();
    const text = `${sender} ${index}`.padEnd(this.shape.bodyBytes, ".");
    const fields: PostFields = {
      tenant: noTenant,
      room: utf8From(room),
      sender: utf8From(sender),
      key,
      salt: new Uint8Array(randomBytes(16)),
      type: "message",
      parent: 0,
      body: utf8From(text),
    };
    const operation = new Uint8Array(postBytes(fields));
    appendPost(new DataView(operation.buffer), operation, 0, fields);
    const hex = Buffer.from(key).toString("hex");
    const record = this.history.invoke({ room, client, key: hex, sender, body: text });
    for (;;) {
      const outcome = await submit(link, operation);
      const result = outcome.kind === "ok" ? readResult(outcome.results, 0) : null;
      if (result?.code === "ok") {
        this.history.acknowledge(record, result.seq);
        this.heads.set(room, Math.max(this.heads.get(room) ?? 0, result.seq));
        return;
      }
      if (result !== null && result.code !== "busy") {
        this.history.oddities.push(`a post to ${room} was answered ${result.code}`);
        return;
      }
      if (performance.now() > Math.min(untilMs, this.stoppedMs + fateMs)) return;
      await sleep(retryMs);
    }
  }

  private async peekOn(link: ShardLink, client: number): Promise<void> {
    for (let turn = client; this.running; turn += 1) {
      await sleep(peekMs);
      const room = this.rooms[turn % this.rooms.length] ?? "";
      const seq = seqFrom(Math.max(0, (this.heads.get(room) ?? 0) - peekEntries / 2));
      const callMs = performance.now();
      const range = { kind: "after", seq, limit: peekEntries } as const;
      const outcome = await link.read({ tenant: "", room }, range);
      if (outcome.kind !== "ok" || outcome.answer.code !== "ok") continue;
      const entries = seenFrom(outcome.entries);
      if (entries === null) this.history.oddities.push(`a peek at ${room} cannot be decoded`);
      const { head } = outcome.answer;
      const facts = { room, client, callMs, returnMs: performance.now(), head };
      this.history.looks.push({ kind: "peek", ...facts, entries: entries ?? [] });
    }
  }

  private pushed(client: number, room: string, list: Uint8Array): void {
    const entries = seenFrom(list);
    if (entries === null) {
      this.history.oddities.push(`a push of ${room} cannot be decoded`);
      return;
    }
    const nowMs = performance.now();
    const head = entries.at(-1)?.seq ?? 0;
    const facts = { room, client, callMs: nowMs, returnMs: nowMs, head, entries };
    this.history.looks.push({ kind: "push", ...facts });
  }

  private async readWhole(link: ShardLink, room: string): Promise<SeenEntry[]> {
    const all: SeenEntry[] = [];
    const untilMs = performance.now() + 30_000;
    for (;;) {
      const page = await this.readPage(link, room, seqFrom(all.length));
      if (page?.length === 0) return all;
      if (page !== null) all.push(...page);
      else if (performance.now() > untilMs) throw new Error(`room ${room} could not be read`);
      else await sleep(50);
    }
  }

  private async readPage(link: ShardLink, room: string, seq: Seq): Promise<SeenEntry[] | null> {
    const range = { kind: "after", seq, limit: readEntriesMax } as const;
    const outcome = await link.read({ tenant: "", room }, range);
    if (outcome.kind !== "ok" || outcome.answer.code !== "ok") return null;
    return seenFrom(outcome.entries);
  }

  private async createRoom(link: ShardLink, room: string): Promise<void> {
    const fields = { tenant: noTenant, room: utf8From(room), creator: utf8From("faults") };
    const operation = new Uint8Array(createRoomBytes(fields));
    appendCreateRoom(new DataView(operation.buffer), operation, 0, fields);
    for (let tries = 0; tries < 50; tries += 1) {
      const outcome = await submit(link, operation);
      if (outcome.kind === "ok") return;
      await sleep(100);
    }
    throw new Error(`room ${room} could not be created`);
  }
}
