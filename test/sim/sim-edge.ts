import { clientIdFrom, opFrom, seqFrom } from "#replica/base/brands.ts";
import type { ClientId, ReplicaIndex } from "#replica/base/brands.ts";
import { replicaFrom } from "#replica/base/brands.ts";
import type { Prng } from "#replica/base/prng.ts";
import { ShardClient, type SubmitOutcome } from "#replica/client/shard-client.ts";
import { sha256 } from "#replica/crypto/hash.ts";
import type { Checkpoint } from "#replica/proof/checkpoint.ts";
import type { ClientMessage, ReadRange, ServerMessage } from "#replica/wire/client-message.ts";
import type { Connection, Connections } from "./connections.ts";
import { lab } from "./formation.ts";
import type { Heap } from "./heap.ts";
import type { Judges } from "./judges.ts";
import { tenant } from "./operation-maker.ts";

/** Times of a session, ms. */
const deadlineMs = 400;
const resendMs = 120;
const lookMs = 8;
/** Probability of one look that something is asked to be proved. */
const askEach = 0.05;
/** From losing a connection to dialling again, ms. */
const redialMs = 15;

/** What an edge lives in. */
export interface EdgeWorld {
  readonly heap: Heap;
  readonly judges: Judges;
  readonly connections: Connections;
  readonly rooms: number;
  /** Replicas prove what they say. */
  readonly proofs: boolean;
  /** Counts a proof that was looked at. */
  readonly count: (what: string) => void;
  /** No more requests will come. */
  readonly idle: () => boolean;
  note(text: () => string): void;
}

interface Question {
  readonly room: string;
  readonly kind: "receipt" | "checkpoint" | "consistency";
  readonly seq: number;
  readonly known: Checkpoint | null;
}

/**
 * One edge process: the production session logic over three connections, reads and watches beside
 * it. When it dies, another life with another session takes its place.
 */
export class SimEdge {
  readonly index: number;
  private readonly world: EdgeWorld;
  private readonly prng: Prng;
  private generation = 0;
  private client: ShardClient;
  private clientId: ClientId;
  private links: (Connection | null)[] = [null, null, null];
  private readonly waiting = new Map<number, (outcome: SubmitOutcome) => void>();
  private reads = new Map<number, { connection: number; room: string; range: ReadRange }>();
  private readonly questions = new Map<number, Question>();
  /** Newest checkpoint of the shard's log that it has seen. */
  private known: Checkpoint | null = null;
  private watches = new Map<number, { connection: number; room: string }>();
  private idNext = 1;

  constructor(index: number, world: EdgeWorld, prng: Prng) {
    this.index = index;
    this.world = world;
    this.prng = prng;
    this.clientId = this.freshId();
    this.client = this.freshClient();
  }

  /** Dials, and looks after its session from now on. */
  start(): void {
    for (const to of [0, 1, 2]) this.dial(replicaFrom(to));
    const look = (): void => {
      if (this.world.idle()) return;
      this.client.tick(this.world.heap.nowMs);
      this.pump();
      if (this.world.proofs && this.prng.chance(askEach)) this.ask();
      this.world.heap.after(lookMs, look);
    };
    this.world.heap.after(lookMs * this.prng.fraction(), look);
  }

  /** Submits a batch; `done` once with its outcome. */
  submit(body: Uint8Array, count: number, done: (outcome: SubmitOutcome) => void): void {
    const token = this.client.submit(body, count, this.world.heap.nowMs);
    this.waiting.set(token, done);
    this.pump();
  }

  /** The process dies: outcomes are unknown, the next life has another session. */
  crash(): void {
    const { waiting } = this;
    const orphans = [...waiting.values()];
    waiting.clear();
    for (const link of this.links) if (link !== null) this.world.connections.close(link);
    this.clientId = this.freshId();
    this.client = this.freshClient();
    for (const done of orphans) done({ kind: "unknown" });
  }

  /** Cuts one connection. */
  reset(to: number): void {
    const link = this.links[to];
    if (link !== null && link !== undefined) this.world.connections.close(link);
  }

  /** Reads some range of some room at some replica. */
  read(): void {
    const link = this.prng.pick(this.links);
    if (link === null) return;
    const name = this.room();
    const room = `${tenant} ${name}`;
    const length = this.world.judges.replies.logs.get(room)?.entries.length ?? 0;
    const kind = this.prng.chance(0.8) ? "after" : "before";
    const seq = seqFrom(this.prng.below(length + 2));
    const range: ReadRange = { kind, seq, limit: this.prng.between(1, 50) };
    const id = this.nextId();
    this.reads.set(id, { connection: link.id, room, range });
    this.send(link, { kind: "read", id, name: { tenant, room: name }, range });
  }

  /** Asks for a receipt, a checkpoint, or how one that it knows is extended. */
  private ask(): void {
    const link = this.prng.pick(this.links);
    if (link === null) return;
    const name = this.room();
    const room = `${tenant} ${name}`;
    const length = this.world.judges.replies.logs.get(room)?.entries.length ?? 0;
    const kinds = [
      "receipt",
      "receipt",
      this.known === null ? "checkpoint" : "consistency",
    ] as const;
    const kind = this.prng.pick(kinds);
    const seq = seqFrom(
      kind === "receipt" ? 1 + this.prng.below(length + 1) : (this.known?.size ?? 0),
    );
    const id = this.nextId();
    this.questions.set(id, { room, kind, seq, known: this.known });
    this.send(link, {
      kind: "read",
      id,
      name: { tenant, room: name },
      range: { kind, seq, limit: 1 },
    });
  }

  /** The answer to {@link ask}; empty while there is no such entry, or not yet in the trees. */
  private proved({ room, kind, seq, known }: Question, bytes: Uint8Array): void {
    const { judges, count } = this.world;
    const text = new TextDecoder().decode(bytes);
    if (text === "") return;
    count(kind);
    if (kind === "receipt") judges.proofs.receipt(room, seq, text);
    else if (known === null) this.known = judges.proofs.checkpoint(text);
    else this.known = judges.proofs.consistency(known, text);
  }

  /** A room, most often; or a thread or a room for two that is there. */
  private room(): string {
    const { prng, world } = this;
    if (prng.chance(0.7)) return `room${prng.below(world.rooms)}`;
    const names = [...world.judges.replies.logs.keys()];
    return names.length === 0 ? "nowhere" : prng.pick(names).slice(tenant.length + 1);
  }

  /** A connection is up: its hello goes first. */
  private connected(link: Connection): void {
    this.links[link.to] = link;
    this.send(link, { kind: "hello", clientId: this.clientId, protocol: 1 });
    this.client.onConnected(link.to, this.world.heap.nowMs);
    if (this.prng.chance(0.5)) {
      const room = this.room();
      const id = this.nextId();
      this.watches.set(id, { connection: link.id, room: `${tenant} ${room}` });
      this.send(link, { kind: "watch", id, name: { tenant, room } });
    }
    this.pump();
  }

  private disconnected(link: Connection): void {
    if (this.links[link.to] !== link) return;
    this.links[link.to] = null;
    this.client.onDisconnected(link.to, this.world.heap.nowMs);
    this.pump();
    this.dial(link.to);
  }

  private dial(to: ReplicaIndex): void {
    const { connections, heap } = this.world;
    heap.after(redialMs * (0.5 + this.prng.fraction()), () => {
      if (this.world.idle() || this.links[to] !== null) return;
      const link = connections.open(to, {
        received: (from, message) => this.receive(from, message),
        closed: (from) => this.disconnected(from),
      });
      if (link === null) this.dial(to);
      else this.connected(link);
    });
  }

  private receive(link: Connection, message: ServerMessage): void {
    if (this.links[link.to] !== link) return;
    const { judges, heap } = this.world;
    switch (message.kind) {
      case "read_reply": {
        const question = this.questions.get(message.id);
        this.questions.delete(message.id);
        if (question !== undefined && message.answer.code === "ok") {
          this.proved(question, message.entries);
        }
        const asked = this.reads.get(message.id);
        this.reads.delete(message.id);
        if (asked !== undefined) judges.log.read(asked, message.answer, message.entries);
        return;
      }
      case "watched": {
        const asked = this.watches.get(message.id);
        this.watches.delete(message.id);
        if (asked === undefined || message.answer.code !== "ok") return;
        judges.log.watched(link.epoch(), asked.room, message.answer.head);
        return;
      }
      case "entries":
        judges.log.pushedTo(link.epoch(), `${tenant} ${message.name.room}`, message.entries);
        return;
      case "reply":
      case "registered":
        this.judge(message);
        break;
      default:
        break;
    }
    this.client.onMessage(link.to, message, heap.nowMs);
    this.pump();
  }

  private judge(message: Extract<ServerMessage, { kind: "reply" | "registered" }>): void {
    const { judges } = this.world;
    const { clientId } = this;
    if (message.kind === "registered") {
      const registration = {
        session: opFrom(0),
        requestNumber: 0,
        requestChecksum: lab.scope.emptyChecksum,
        clientId,
        operationsCount: 0,
      };
      judges.once.answered(registration, message.session);
      return;
    }
    const { session, requestNumber, requestChecksum, op, body } = message;
    const operationsCount = 0;
    const header = { session, requestNumber, requestChecksum, clientId, operationsCount };
    judges.once.answered(header, op);
    judges.replies.answered(header, body);
  }

  private pump(): void {
    for (const effect of this.client.drain()) {
      if (effect.kind === "done") {
        const done = this.waiting.get(effect.token);
        this.waiting.delete(effect.token);
        done?.(effect.outcome);
        continue;
      }
      const link = this.links[effect.to];
      if (link === null || link === undefined) continue;
      const { message } = effect;
      if (message.kind === "request") this.world.judges.invention.asked(message.header);
      this.send(link, message);
    }
  }

  private send(link: Connection, message: ClientMessage): void {
    this.world.note(() => {
      const number = message.kind === "request" ? ` ${message.header.requestNumber}` : "";
      return `edge ${this.index} → r${link.to} ${message.kind}${number}`;
    });
    this.world.connections.send(link, message);
  }

  private nextId(): number {
    this.idNext += 1;
    return this.idNext;
  }

  private freshClient(): ShardClient {
    const { clientId } = this;
    return new ShardClient({ clientId, hash: sha256, deadlineMs, resendMs, queueMax: 64 });
  }

  private freshId(): ClientId {
    this.generation += 1;
    const text = `${this.index}`.padStart(4, "0") + `${this.generation}`.padStart(4, "0");
    return clientIdFrom(text.repeat(4));
  }
}
