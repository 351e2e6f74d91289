import { strictEqual } from "node:assert/strict";
import { clientIdFrom, opFrom, seqFrom, viewFrom } from "#replica/base/brands.ts";
import { utf8From } from "#replica/base/text.ts";
import { sha256 } from "#replica/crypto/hash.ts";
import type { ProofQuestion, ServerMessage } from "#replica/wire/client-message.ts";
import { decodeEntries } from "#replica/wire/entry.ts";
import {
  appendCreateRoom,
  appendPost,
  createRoomBytes,
  postBytes,
  readResult,
} from "#replica/wire/operation.ts";
import { type HostCluster, hostClient } from "./host-cluster.ts";

const connection = 1;
const name = { tenant: "", room: "alpha" };
const nothing = new Uint8Array(0);
/** A second connection, for proofs. */
const proverConnection = 2;
const proverId = clientIdFrom("ee".repeat(16));

/** A client of a {@link HostCluster}: one session, one request at a time. */
export class HostClient {
  readonly cluster: HostCluster;
  private session = 0;
  private number = 0;

  constructor(cluster: HostCluster) {
    this.cluster = cluster;
  }

  /** The replica that leads, waited for. */
  get primary(): number {
    this.cluster.runUntil("a primary", 5_000, () => this.cluster.primary !== null);
    return this.cluster.primary ?? 0;
  }

  /** Opens a session. */
  connect(): void {
    const host = this.cluster.host(this.primary);
    host.onClientMessage(connection, { kind: "hello", clientId: hostClient, protocol: 1 });
    host.onClientMessage(connection, { kind: "register", clientId: hostClient });
    this.session = this.await("registered").session;
  }

  /** Asks a replica for a proof; null = it says "later". */
  prove(replica: number, question: ProofQuestion): string | null {
    const host = this.cluster.host(replica);
    const { said } = this.cluster;
    host.onClientMessage(proverConnection, { kind: "hello", clientId: proverId, protocol: 1 });
    const from = said.length;
    const read = { kind: "read", id: 77, name, range: question } as const;
    host.onClientMessage(proverConnection, read);
    this.cluster.run(5);
    for (const { connection: to, message } of said.slice(from)) {
      if (to !== proverConnection || message.kind !== "read_reply") continue;
      if (message.answer.code !== "ok") return null;
      return new TextDecoder().decode(message.entries);
    }
    return null;
  }

  /** Posts one message; ends when it is acknowledged. */
  post(index: number, bodyBytes = 1000): void {
    const key = new Uint8Array(16).fill(index & 255);
    const view = new DataView(key.buffer);
    view.setUint32(12, index);
    const timeMs = 1_800_000_000_000;
    view.setUint16(0, Math.floor(timeMs / 2 ** 32));
    view.setUint32(2, timeMs % 2 ** 32);
    key[6] = 0x70;
    key[8] = 0x80;
    const body = new Uint8Array(bodyBytes).fill(index & 255);
    const names = { tenant: nothing, room: utf8From("alpha"), sender: utf8From("ann") };
    const salt = new Uint8Array(16);
    const fields = { ...names, key, salt, type: "message", parent: 0, body } as const;
    const bytes = new Uint8Array(postBytes(fields));
    appendPost(new DataView(bytes.buffer), bytes, 0, fields);
    strictEqual(readResult(this.request(bytes), 0)?.code, "ok");
  }

  /** Makes the room of all posts. */
  createRoom(): void {
    const fields = { tenant: nothing, room: utf8From("alpha"), creator: utf8From("ann") };
    const bytes = new Uint8Array(createRoomBytes(fields));
    appendCreateRoom(new DataView(bytes.buffer), bytes, 0, fields);
    strictEqual(readResult(this.request(bytes), 0)?.code, "ok");
  }

  /** Seqs of the entries after one, as a replica answers. */
  read(replica: number, after: number): readonly number[] {
    const host = this.cluster.host(replica);
    const hello = { kind: "hello", clientId: hostClient, protocol: 1 } as const;
    host.onClientMessage(connection, hello);
    const range = { kind: "after", seq: seqFrom(after), limit: 200 } as const;
    host.onClientMessage(connection, { kind: "read", id: 7, name, range });
    const reply = this.await("read_reply");
    strictEqual(reply.answer.code, "ok");
    return (decodeEntries(reply.entries, 200) ?? []).map((entry) => entry.seq);
  }

  private request(body: Uint8Array): Uint8Array {
    this.number += 1;
    const header = {
      session: opFrom(this.session),
      requestNumber: this.number,
      requestChecksum: sha256(body),
      clientId: hostClient,
      operationsCount: 1,
    };
    // A primary that has just given its place away refuses: the same request goes to the next.
    for (let attempt = 0; attempt < 20; attempt += 1) {
      const host = this.cluster.host(this.primary);
      host.onClientMessage(connection, { kind: "hello", clientId: hostClient, protocol: 1 });
      const viewKnown = viewFrom(0);
      host.onClientMessage(connection, { kind: "request", header, viewKnown, body });
      const answer = this.answer();
      if (answer.kind === "reply") return answer.body;
      strictEqual(answer.reason, "not_primary");
      this.cluster.run(50);
    }
    throw new Error("no primary takes the request");
  }

  private answer(): Extract<ServerMessage, { kind: "reply" | "reject" }> {
    const { said } = this.cluster;
    let found: ServerMessage | undefined;
    this.cluster.runUntil("an answer", 5_000, () => {
      found = said.find(({ message: { kind } }) => kind === "reply" || kind === "reject")?.message;
      return found !== undefined;
    });
    said.length = 0;
    return found as Extract<ServerMessage, { kind: "reply" | "reject" }>;
  }

  private await<K extends ServerMessage["kind"]>(kind: K): Extract<ServerMessage, { kind: K }> {
    const { said } = this.cluster;
    let found: ServerMessage | undefined;
    this.cluster.runUntil(kind, 5_000, () => {
      found = said.find((one) => one.message.kind === kind)?.message;
      return found !== undefined;
    });
    said.length = 0;
    return found as Extract<ServerMessage, { kind: K }>;
  }
}
