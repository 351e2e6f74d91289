import { assert } from "#replica/base/assert.ts";
import { type Checksum, type ClientId, clientIdFrom, opFrom } from "#replica/base/brands.ts";
import type { ChatMachine } from "#replica/machine/chat-machine.ts";
import type { LoadedBlock } from "#replica/machine/port.ts";
import type { Effect } from "#replica/vsr/effect.ts";
import type { Event } from "#replica/vsr/event.ts";
import type {
  ClientMessage,
  ProofQuestion,
  RoomAnswer,
  RoomName,
  ServerMessage,
} from "#replica/wire/client-message.ts";
import { validateOperations } from "#replica/wire/operation.ts";
import { answerStanding, orEmptyThread } from "./answer-standing.ts";
import type { BlockStore } from "./block-store.ts";
import { WatchTable } from "./watch-table.ts";

/** Reads that wait for blocks at most; a further one is answered busy. */
export const readsMax = 128;
/** Times that one read may ask for blocks. */
export const readRoundsMax = 8;
/** Client connections at most. */
export const connectionsMax = 1024;

type Reply = Extract<Effect, { kind: "reply" }>;
type Reject = Extract<Effect, { kind: "reject" }>;
type Request = Extract<ClientMessage, { kind: "request" }>;
type Read = Extract<ClientMessage, { kind: "read" }>;
type View = Extract<ServerMessage, { kind: "view" }>;

/** What the desk needs of its host. */
export interface ClientDeskPorts {
  readonly machine: ChatMachine;
  readonly blocks: () => BlockStore;
  readonly step: (event: Event) => void;
  /** Sends, or drops the connection when it does not keep up. */
  readonly send: (connection: number, message: ServerMessage) => void;
  readonly view: () => View;
  /** False while the machine is being rebuilt. */
  readonly readable: () => boolean;
  /** Answers a question for a proof, now or later, once. */
  readonly prove: (
    name: RoomName,
    question: ProofQuestion,
    answer: (answer: RoomAnswer, text: Uint8Array) => void,
  ) => void;
  /** Checksum of no bytes: that of a registration's body. */
  readonly emptyChecksum: Checksum;
}

/** Counters since the start, for metrics. */
export interface ClientCounts {
  operations: number;
  replies: number;
  reads: Record<RoomAnswer["code"], number>;
  rejects: Record<Reject["reason"] | "bad_request", number>;
  pushes: number;
}

const nothing = new Uint8Array(0);

/** Everything between clients' connections and the replica: sessions, reads, watches, pushes. */
export class ClientDesk {
  readonly counts: ClientCounts = {
    operations: 0,
    replies: 0,
    reads: { ok: 0, no_room: 0, busy: 0, not_ready: 0, moved: 0 },
    rejects: {
      not_primary: 0,
      busy: 0,
      no_session: 0,
      request_mismatch: 0,
      out_of_order: 0,
      bad_request: 0,
    },
    pushes: 0,
  };
  private readonly ports: ClientDeskPorts;
  private readonly watches = new WatchTable();
  private readonly clients = new Map<number, ClientId>();
  private readonly connections = new Map<string, number>();
  private readsCount = 0;
  private viewSaid: View | null = null;

  /** Nobody is connected yet. */
  constructor(ports: ClientDeskPorts) {
    this.ports = ports;
  }

  /** Connections that said hello. */
  get connectionsCount(): number {
    return this.clients.size;
  }

  /** Depths of the bounded queues. */
  get depths(): { readonly reads: number; readonly watches: number } {
    return { reads: this.readsCount, watches: this.watches.count };
  }

  /** A frame of a connection. Returns false when the connection must be closed. */
  onMessage(connection: number, message: ClientMessage): boolean {
    if (message.kind === "hello") return this.hello(connection, message.clientId);
    const clientId = this.clients.get(connection);
    if (clientId === undefined) return false;
    switch (message.kind) {
      case "register":
        if (message.clientId !== clientId) return false;
        this.connections.set(clientId, connection);
        this.register(clientId);
        return true;
      case "request":
        return this.request(connection, clientId, message);
      case "read":
        this.read(connection, message, [], 0);
        return true;
      case "watch":
        this.watch(connection, message);
        return true;
      case "unwatch":
        if (this.watches.remove(connection, message.name)) this.ports.machine.unwatch(message.name);
        return true;
      default:
        message satisfies never;
        return false;
    }
  }

  /** A connection closed. */
  onGone(connection: number): void {
    for (const name of this.watches.removeConnection(connection)) this.ports.machine.unwatch(name);
    const clientId = this.clients.get(connection);
    this.clients.delete(connection);
    if (clientId === undefined || this.connections.get(clientId) !== connection) return;
    this.connections.delete(clientId);
    this.ports.step({ kind: "client_gone", clientId });
  }

  /** Effect reply: to the connection that the client has now, if any. */
  reply(effect: Reply): void {
    const { request, op, view, body } = effect;
    this.counts.replies += 1;
    this.counts.operations += request.operationsCount;
    const connection = this.connections.get(request.clientId);
    if (connection === undefined) return;
    if (request.session === 0) {
      const clientId = clientIdFrom(request.clientId);
      this.ports.send(connection, { kind: "registered", clientId, session: op });
      return;
    }
    const { session, requestNumber, requestChecksum } = request;
    const answer = { session, requestNumber, requestChecksum, op, view, body };
    this.ports.send(connection, { kind: "reply", ...answer });
  }

  /** Effect reject. */
  reject(effect: Reject): void {
    const { request, reason, view, retryMs } = effect;
    this.counts.rejects[reason] += 1;
    const connection = this.connections.get(effect.clientId);
    if (connection === undefined) return;
    const { session, requestNumber } = request;
    this.ports.send(connection, { kind: "reject", session, requestNumber, reason, view, retryMs });
  }

  /** Effect committed: pushes what watched rooms got. */
  pushFacts(): void {
    for (const fact of this.ports.machine.drainFacts()) {
      for (const connection of this.watches.watchers(fact.name)) {
        this.counts.pushes += 1;
        const { name, entries } = fact;
        this.ports.send(connection, { kind: "entries", name, entries });
      }
    }
  }

  /** Status or view may have changed: says so to every connection, once a change. */
  announceView(): void {
    const view = this.ports.view();
    const said = this.viewSaid;
    if (said !== null && said.view === view.view && said.normal === view.normal) return;
    this.viewSaid = view;
    for (const connection of this.clients.keys()) this.ports.send(connection, view);
  }

  private hello(connection: number, clientId: ClientId): boolean {
    if (this.clients.has(connection) || this.clients.size >= connectionsMax) return false;
    this.clients.set(connection, clientId);
    this.connections.set(clientId, connection);
    this.ports.send(connection, this.ports.view());
    return true;
  }

  private register(clientId: ClientId): void {
    const requestChecksum = this.ports.emptyChecksum;
    const header = {
      session: opFrom(0),
      requestNumber: 0,
      requestChecksum,
      clientId,
      operationsCount: 0,
    };
    this.ports.step({ kind: "request", request: { header, body: nothing }, viewKnown: 0 });
  }

  private request(connection: number, clientId: ClientId, message: Request): boolean {
    // Answers go where the client spoke last: the hello of an older, dead connection may come late.
    this.connections.set(clientId, connection);
    const { header, body, viewKnown } = message;
    const operations = validateOperations(body);
    const right = operations.ok && operations.value === header.operationsCount;
    if (!right || header.clientId !== clientId || header.session === 0) {
      this.counts.rejects.bad_request += 1;
      const { session, requestNumber } = header;
      const { view } = this.ports.view();
      const reason = "request_mismatch";
      const reject = { session, requestNumber, reason, view, retryMs: 0 } as const;
      this.ports.send(connection, { kind: "reject", ...reject });
      return header.clientId === clientId;
    }
    this.ports.step({ kind: "request", request: { header, body }, viewKnown });
    return true;
  }

  private answerRead(
    connection: number,
    id: number,
    answer: RoomAnswer,
    entries: Uint8Array,
  ): void {
    this.counts.reads[answer.code] += 1;
    this.ports.send(connection, { kind: "read_reply", id, answer, entries });
  }

  private read(
    connection: number,
    message: Read,
    loaded: readonly LoadedBlock[],
    rounds: number,
  ): void {
    const { id, name, range } = message;
    if (!this.ports.readable()) {
      this.answerRead(connection, id, { code: "not_ready" }, nothing);
      return;
    }
    if (range.kind === "standing") {
      const { answer, bytes } = answerStanding(this.ports.machine, name, range.user);
      this.answerRead(connection, id, answer, bytes);
      return;
    }
    if (range.kind !== "after" && range.kind !== "before") {
      this.ports.prove(name, range, (answer, text) => {
        this.answerRead(connection, id, answer, text);
      });
      return;
    }
    const step = this.ports.machine.read(name, range, loaded);
    if (step.kind === "answer") {
      const answer = orEmptyThread(this.ports.machine, name, step.answer);
      this.answerRead(connection, id, answer, step.entries);
      return;
    }
    if (this.readsCount >= readsMax || rounds >= readRoundsMax) {
      this.answerRead(connection, id, { code: "busy" }, nothing);
      return;
    }
    this.readsCount += 1;
    this.ports.blocks().load(step.addresses, (blocks) => {
      this.readsCount -= 1;
      if (!this.clients.has(connection)) return;
      if (blocks === null) {
        this.answerRead(connection, id, { code: "not_ready" }, nothing);
        return;
      }
      const more = step.addresses.map((address, index) => {
        const bytes = blocks[index];
        assert(bytes !== undefined, "SRV-02: as many blocks as addresses");
        return { address, bytes };
      });
      this.read(connection, message, [...loaded, ...more], rounds + 1);
    });
  }

  private watch(connection: number, message: Extract<ClientMessage, { kind: "watch" }>): void {
    const { id, name } = message;
    const { machine } = this.ports;
    const send = (found: RoomAnswer): void => {
      const answer = orEmptyThread(machine, name, found);
      this.ports.send(connection, { kind: "watched", id, answer });
    };
    if (!this.ports.readable()) {
      send({ code: "not_ready" });
      return;
    }
    const added = this.watches.add(connection, name);
    if (added === "full") send({ code: "busy" });
    else if (added === "first") send(machine.watch(name));
    else send(machine.room(name));
  }
}
