import type { ReplicaIndex } from "#replica/base/brands.ts";
import { replicaFrom } from "#replica/base/brands.ts";
import { bytesFromHex } from "#replica/base/bytes.ts";
import { Prng } from "#replica/base/prng.ts";
import type { ServerMessage } from "#replica/wire/client-message.ts";
import type { PeerMessage } from "#replica/wire/peer-message.ts";
import type { Prepare } from "#replica/wire/prepare.ts";
import { Atlas } from "./atlas.ts";
import { Author } from "./author.ts";
import { Connections } from "./connections.ts";
import type { Coverage } from "./coverage.ts";
import { describeMessage } from "./describe-message.ts";
import { firstPublicKey, formattedVolume, keyRules, lab } from "./formation.ts";
import { Frames } from "./frames.ts";
import { Heap } from "./heap.ts";
import { Judges } from "./judges.ts";
import { KekFile } from "./kek-file.ts";
import type { NodeWorld } from "./node-world.ts";
import { Replacer } from "./replacer.ts";
import { SimEdge } from "./sim-edge.ts";
import { SimNetwork } from "./sim-network.ts";
import { SimNode } from "./sim-node.ts";
import type { Swarm } from "./swarm.ts";
import { type LineKind, Timeline, type TimelineFilter } from "./timeline.ts";
import { Rotator } from "./rotator.ts";
import { Upgrader } from "./upgrader.ts";
import { ViewChanges } from "./view-changes.ts";

/** Three simulated computers, their network, edges, authors and the checkers. */
export class World implements NodeWorld {
  readonly heap = new Heap();
  readonly prng: Prng;
  readonly swarm: Swarm;
  readonly atlas: Atlas;
  readonly judges: Judges;
  readonly coverage: Coverage;
  readonly timeline: Timeline;
  readonly network: SimNetwork;
  readonly nodes: readonly SimNode[];
  readonly edges: readonly SimEdge[];
  readonly authors: readonly Author[];
  private readonly connections: Connections;
  private readonly frames: Frames | null;
  private readonly viewChanges: ViewChanges;
  readonly replacer: Replacer;
  private readonly cosignPrng: Prng;
  private readonly rotator: Rotator;
  private readonly upgrader: Upgrader;
  passedUs = 0;
  keysFail = false;
  readonly kekFile = new KekFile();
  readonly keysPrng: Prng;
  private secrets = 0;
  private ending = false;

  constructor(seed: number, swarm: Swarm, coverage: Coverage, filter: TimelineFilter | null) {
    this.prng = new Prng(seed + 1);
    this.cosignPrng = new Prng(seed + 3);
    this.keysPrng = new Prng(seed + 12);
    this.swarm = swarm;
    this.coverage = coverage;
    this.timeline = new Timeline(filter);
    const fault = (kind: string): void => coverage.add(`fault ${kind}`);
    this.atlas = new Atlas(swarm, this.prng.fork(), fault);
    this.network = new SimNetwork(this.heap, this.prng.fork(), swarm.network, fault);
    this.frames = swarm.frames ? new Frames(this.prng.fork(), fault) : null;
    this.viewChanges = new ViewChanges(coverage);
    const { root } = formattedVolume(0, swarm.walSlots, swarm.slotBytes);
    const rules = { windowHours: keyRules.windowHours, keysMax: keyRules.max, roomsMax: 1_000_000 };
    const count = (what: string): void => coverage.add(what);
    this.judges = new Judges(root, lab.scope.emptyChecksum, rules, count);
    this.nodes = [0, 1, 2].map((i) => new SimNode(replicaFrom(i), this, this.prng.fork()));
    this.judges.watch(this.nodes);
    const clientPrng = this.prng.fork();
    const delayMs = (): number => 0.1 - Math.log(1 - clientPrng.fraction());
    this.connections = new Connections(this.heap, this.nodes, delayMs);
    const { heap, nodes } = this;
    const replaced = (): void => {
      this.atlas.replaced = true;
    };
    const member = (replica: number, publicKey: string): void => {
      this.judges.proofs.member(replica, bytesFromHex(publicKey));
    };
    for (const { index } of nodes) member(index, firstPublicKey(index));
    this.replacer = new Replacer({ heap, swarm, coverage, nodes, member, replaced });
    this.rotator = new Rotator({ heap, coverage, nodes, swarm, member }, seed);
    this.upgrader = new Upgrader({ heap, swarm, coverage, nodes }, seed);
    this.edges = this.makeEdges();
    this.authors = this.makeAuthors();
  }

  /** Starts every process, edge and author. */
  start(): void {
    for (const node of this.nodes) node.start();
    this.replacer.start();
    this.rotator.start();
    this.upgrader.start();
    for (const edge of this.edges) edge.start();
    for (const author of this.authors) author.start();
  }

  /** The liveness phase: what is broken stays so, nothing else breaks, clocks are set right. */
  heal(): void {
    this.ending = true;
    this.rotator.stop();
    this.upgrader.stop();
    this.atlas.calm = true;
    this.network.heal();
    this.network.configure({ ...this.swarm.network, loss: 0, duplication: 0, clog: 0 });
    for (const node of this.nodes) {
      node.pausedUntilMs = 0;
      node.wallOffsetUs = 0;
    }
  }

  /** Every author has its answers. */
  get done(): boolean {
    return this.authors.every((author) => author.done);
  }

  /** The computer of an index. */
  node(index: number): SimNode {
    const node = this.nodes[index];
    if (node === undefined) throw new Error("sim: node");
    return node;
  }

  get verbose(): boolean {
    return this.timeline.verbose;
  }

  carry(from: ReplicaIndex, to: ReplicaIndex, message: PeerMessage): void {
    if (this.verbose) this.line("send", from, `→ r${to} ${describeMessage(message)}`);
    this.viewChanges.sent(message);
    this.network.send(from, to, () => {
      const whole = this.badlySigned(message);
      const arrived = this.frames === null ? whole : this.frames.through(from, whole);
      if (arrived === null) return;
      this.mix(1, from, to, this.heap.nowMs);
      if (this.verbose) this.line("receive", to, `← r${from} ${describeMessage(arrived)}`);
      this.viewChanges.arrived(to, arrived);
      this.node(to).receive(arrived);
    });
  }

  /** Now and then a cosignature that is none, as of a replica with another key. */
  private badlySigned(message: PeerMessage): PeerMessage {
    if (message.kind !== "cosign" || this.atlas.calm || !this.cosignPrng.chance(0.1))
      return message;
    this.coverage.add("fault bad_cosignature");
    return { ...message, signature: new Uint8Array(message.signature.length).fill(1) };
  }

  toClient(from: ReplicaIndex, connection: number, message: ServerMessage): void {
    if (this.verbose && message.kind !== "view") {
      const op = message.kind === "reply" ? ` ${message.requestNumber} op ${message.op}` : "";
      const reason = message.kind === "reject" ? ` ${message.reason}` : "";
      this.line("client", from, `${message.kind}${op}${reason} to connection ${connection}`);
    }
    this.connections.answer(connection, message);
  }

  ended(index: ReplicaIndex): void {
    this.connections.ended(index);
  }

  committed(index: ReplicaIndex, prepare: Prepare): void {
    if (!this.ending && this.judges.formed) this.atlas.calm = false;
    if (!this.verbose) return;
    const { op, view, requestsCount, kind } = prepare.header;
    this.line("commit", index, `op ${op} of view ${view}: ${kind}, ${requestsCount} requests`);
  }

  secret(): number {
    this.secrets += 1;
    return this.secrets;
  }

  line(kind: LineKind, replica: number, text: string): void {
    this.timeline.line(this.heap.nowMs, kind, replica, text);
  }

  mix(what: number, a: number, b: number, c: number): void {
    this.timeline.mix(what, a, b, c);
  }

  private makeEdges(): readonly SimEdge[] {
    const world = {
      heap: this.heap,
      judges: this.judges,
      connections: this.connections,
      rooms: this.swarm.rooms,
      proofs: this.swarm.proofs,
      count: (what: string) => this.coverage.add(`proof ${what}`),
      idle: () => this.done,
      note: (text: () => string) => {
        if (this.verbose) this.line("client", -1, text());
      },
    };
    const count = this.swarm.edges;
    return Array.from({ length: count }, (_, i) => new SimEdge(i, world, this.prng.fork()));
  }

  private makeAuthors(): readonly Author[] {
    const { rooms, requestsEach, requestBytesMax, bulky, thinkMs, authors } = this.swarm;
    const { heap, judges, edges } = this;
    const size = { wanted: requestsEach, requestBytesMax, bulky, thinkMs };
    const nowMs = (): number => heap.nowMs + this.passedUs / 1000;
    const logs = (): Judges["replies"]["logs"] => judges.replies.logs;
    const world = { heap, judges, edges, rooms, authors, nowMs, logs, ...size };
    return Array.from({ length: authors }, (_, i) => new Author(i, world, this.prng.fork()));
  }
}
