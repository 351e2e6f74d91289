import { randomBytes } from "node:crypto";
import { utf8From } from "#replica/base/text.ts";
import type { ShardLinkPort, SubmitOutcome } from "#replica/transport/shard-link.ts";
import {
  appendCreateRoom,
  appendPost,
  createRoomBytes,
  type OperationResult,
  type PostFields,
  postBytes,
  readResult,
} from "#replica/wire/operation.ts";

/** One acknowledged message: what the shard promised. */
export interface Acknowledged {
  readonly key: string;
  readonly seq: number;
  /** Position among the writer's own messages, from 0. */
  readonly index: number;
  /** When the answer came, monotonic ms. */
  readonly atMs: number;
}

const noTenant = new Uint8Array(0);

/** Submits one batch; the outcome. */
export function submit(
  link: ShardLinkPort,
  operations: Uint8Array,
  count: number,
): Promise<SubmitOutcome> {
  return new Promise((resolve) => link.submit(operations, count, resolve));
}

/** Creates a room; retries until the shard says so. */
export async function createRoom(link: ShardLinkPort, room: string): Promise<void> {
  const fields = { tenant: noTenant, room: utf8From(room), creator: utf8From("test") };
  const body = new Uint8Array(createRoomBytes(fields));
  appendCreateRoom(new DataView(body.buffer), body, 0, fields);
  for (let tries = 0; tries < 50; tries += 1) {
    const outcome = await submit(link, body, 1);
    if (outcome.kind === "ok") return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`room ${room} could not be created`);
}

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

/** Writes message after message into one room and keeps what was acknowledged. */
export class Writer {
  readonly acknowledged: Acknowledged[] = [];
  /** Messages retried under the same key. */
  retries = 0;
  private readonly link: ShardLinkPort;
  private readonly room: string;
  private readonly sender: string;
  private index = 0;
  private stopped = false;

  /** `sender` stands in every message's body, with its index. */
  constructor(link: ShardLinkPort, room: string, sender: string) {
    this.link = link;
    this.room = room;
    this.sender = sender;
  }

  /** Writes until {@link stop}; a message is retried under its key until it is acknowledged. */
  async run(pauseMs = 0): Promise<void> {
    while (!this.stopped) {
      await this.write();
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  /** Ends {@link run} after the message under way. */
  stop(): void {
    this.stopped = true;
  }

  /** Writes one message. */
  async write(): Promise<void> {
    const index = this.index;
    this.index += 1;
    const key = keyNow();
    const fields: PostFields = {
      tenant: noTenant,
      room: utf8From(this.room),
      sender: utf8From(this.sender),
      key,
      salt: new Uint8Array(16),
      type: "message",
      parent: 0,
      body: utf8From(`${this.sender} ${index}`),
    };
    const body = new Uint8Array(postBytes(fields));
    appendPost(new DataView(body.buffer), body, 0, fields);
    const { seq } = await this.untilAcknowledged(body);
    const atMs = performance.now();
    this.acknowledged.push({ key: Buffer.from(key).toString("hex"), seq, index, atMs });
  }

  private async untilAcknowledged(body: Uint8Array): Promise<OperationResult> {
    for (let tries = 0; tries < 500; tries += 1) {
      const outcome = await submit(this.link, body, 1);
      const result = outcome.kind === "ok" ? readResult(outcome.results, 0) : null;
      if (result !== null && result.code === "ok") return result;
      if (result !== null) throw new Error(`the shard answered ${result.code}`);
      this.retries += 1;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error("a message was not acknowledged after 500 tries");
  }
}
