import {
  checksumFrom,
  checksumZero,
  incarnationFrom,
  opFrom,
  replicaFrom,
  timestampFrom,
  viewFrom,
} from "#replica/base/brands.ts";
import type { Checksum, ReplicaIndex } from "#replica/base/brands.ts";
import { Prng } from "#replica/base/prng.ts";
import type { Effect } from "#replica/vsr/effect.ts";
import type { PeerMessage } from "#replica/wire/peer-message.ts";
import type { Prepare, Request } from "#replica/wire/prepare.ts";
import { freshStanding, type SuperblockState } from "#replica/wire/superblock.ts";
import { describeMessage } from "#test/sim/describe-message.ts";
import { checkDurableCopies, Digests } from "./commits.ts";
import { History, Violation } from "./history.ts";
import { SimDisk, type Snapshot } from "./disk.ts";
import { fakeHash, fakeSealer } from "./fake-sealer.ts";
import { Heap } from "#test/sim/heap.ts";
import { Network } from "./network.ts";
import type { RunOptions } from "./run-options.ts";
import { SimReplica, type Surroundings } from "./sim-replica.ts";
import { toyGenesis } from "./toy-machine.ts";
import { Trace } from "./trace.ts";
import { type Gateway, SimClient } from "./workload.ts";

const formationId = checksumFrom("f".repeat(64));
const clientNode = 16;

function rootPrepare(): Prepare {
  const fields = {
    kind: "root",
    op: opFrom(0),
    view: viewFrom(0),
    author: replicaFrom(0),
    incarnation: incarnationFrom("0".repeat(32)),
    parent: checksumZero,
    timestampUs: timestampFrom(1),
    commitMax: opFrom(0),
    quorumCheckpointOp: opFrom(0),
    checkpointId: checksumZero,
    machineVersion: 1,
    requestsCount: 0,
  } as const;
  return fakeSealer.seal(fields, new Uint8Array(0), "");
}

function genesis(replica: ReplicaIndex, slots: number, root: Prepare): SuperblockState {
  const incarnation = (index: number) => incarnationFrom(`${index + 1}`.repeat(32));
  const opChecksum = root.header.checksum;
  const op = opFrom(0);
  const digest = fakeHash("genesis");
  const id = fakeSealer.checkpointId(digest, checksumZero, op, opChecksum);
  return {
    sequence: 1,
    identity: {
      cluster: "c".repeat(32),
      shard: "sim",
      replica,
      incarnation: incarnation(replica),
      formationId,
      walSlotsCount: slots,
    },
    members: [0, 1, 2].map((index) => ({
      replica: replicaFrom(index),
      incarnation: incarnation(index),
      publicKey: "0".repeat(64),
    })),
    view: viewFrom(0),
    logView: viewFrom(0),
    viewHeaders: [root.header],
    commitMax: op,
    checkpoint: { id, parentId: checksumZero, op, opChecksum, root: digest, manifestBytes: 0 },
    kept: [],
    quorumCheckpointOp: op,
    recovering: false,
    voteFloor: viewFrom(0),
    faultyOps: [],
    slots: { first: 0, count: 4096, epoch: 1 },
    standing: freshStanding(0),
  };
}

/** Three simulated machines, their network, their clients and the checkers, under virtual time. */
export class Cluster implements Surroundings, Gateway {
  readonly heap = new Heap();
  readonly prng: Prng;
  readonly slots: number;
  readonly diskMs: { readonly min: number; readonly mean: number };
  readonly depth: number;
  readonly lingerMs: number;
  readonly network: Network;
  readonly replicas: readonly SimReplica[];
  readonly clients: readonly SimClient[];
  readonly history: History;
  readonly traceLog: Trace;
  /** Read failures are injected while this is above 0. */
  readFailure: number;
  private committedMax = 0;
  private readonly digests = new Digests();
  private readonly made = new Set<string>([fakeHash(new Uint8Array(0))]);
  /** Machine that may have decayed copies of each slot: never a legitimate loss (fault atlas). */
  private readonly victims: readonly number[];

  constructor(seed: number, options: RunOptions, print: ((line: string) => void) | null) {
    this.prng = new Prng(seed + 1);
    this.traceLog = new Trace(print);
    this.slots = options.slots;
    this.diskMs = options.diskMs;
    this.depth = options.depth;
    this.lingerMs = options.lingerMs;
    this.readFailure = options.readFailure;
    this.network = new Network(this.heap, this.prng.fork(), options.network);
    const root = rootPrepare();
    this.history = new History(root, this.made);
    this.victims = Array.from({ length: options.slots }, () => {
      return options.rotMachine >= 0 ? options.rotMachine : this.prng.below(3);
    });
    this.replicas = [0, 1, 2].map((i) => {
      const index = replicaFrom(i);
      const superblock = genesis(index, options.slots, root);
      const disk = new SimDisk(superblock, root, this.prng.fork());
      const { checkpoint } = superblock;
      const sessions = new Uint8Array(0);
      disk.snapshots.set(checkpoint.id, { checkpoint, state: toyGenesis, sessions });
      return new SimReplica(index, disk, this);
    });
    this.clients = Array.from({ length: options.clients }, (_, index) => {
      const wanted = options.requestsEach;
      const { heap, history, made } = this;
      const prng = this.prng.fork();
      const { window } = options;
      return new SimClient({ index, wanted, window, heap, prng, gateway: this, history, made });
    });
  }

  /** Starts every process and every client. */
  start(): void {
    for (const replica of this.replicas) replica.start();
    for (const client of this.clients) client.start();
  }

  /** True when every client has its answers. */
  get done(): boolean {
    return this.clients.every((client) => client.done);
  }

  /** The machine of an index. */
  machine(index: number): SimReplica {
    const replica = this.replicas[index];
    if (replica === undefined) throw new Error("sim: replica");
    return replica;
  }

  /** Machine whose copy of a slot may decay. */
  victim(slot: number): number {
    return this.victims[slot % this.slots] ?? 0;
  }

  send(from: ReplicaIndex, to: ReplicaIndex, message: PeerMessage): void {
    if (this.traceLog.verbose) this.note(from, `→ ${to} ${describeMessage(message)}`);
    const target = this.machine(to);
    this.network.send(from, to, () => {
      this.traceLog.note(1, from, to, this.heap.nowMs);
      target.deliver({ kind: "message", message });
    });
  }

  submit(client: SimClient, replica: number, request: Request, viewKnown: number): void {
    const target = this.machine(replica);
    if (this.traceLog.verbose) {
      const { session, requestNumber } = request.header;
      this.note(target.index, `← client ${client.index} request ${session}/${requestNumber}`);
    }
    this.network.send(clientNode + client.index, replica, () => {
      target.deliver({ kind: "request", request, viewKnown });
    });
  }

  answer(from: ReplicaIndex, effect: Extract<Effect, { kind: "reply" | "reject" }>): void {
    if (this.traceLog.verbose) {
      const { session, requestNumber } = effect.request;
      const reason = effect.kind === "reject" ? effect.reason : `op ${effect.op}`;
      this.note(from, `${effect.kind} ${session}/${requestNumber} ${reason}`);
    }
    for (const client of this.clients) {
      if (client.clientId !== effect.request.clientId) continue;
      this.network.send(from, clientNode + client.index, () => client.receive(effect));
    }
  }

  executed(replica: ReplicaIndex, prepare: Prepare): void {
    if (!this.history.commit(replica, prepare)) return;
    if (this.traceLog.verbose) this.note(replica, `committed ${prepare.header.op}`);
    checkDurableCopies(
      prepare,
      this.replicas.map((each) => each.disk),
    );
  }

  checkpointTaken(op: number, id: string): void {
    this.digests.taken(op, id);
  }

  committedOp(): number {
    return this.committedMax;
  }

  commitsDecided(replica: ReplicaIndex, view: number, op: number): void {
    const acked = this.replicas.some((each) => {
      return each.index !== replica && (each.promises.ackedIn.get(view) ?? -1) >= op;
    });
    if (!acked) throw new Violation(`7 commit: op ${op} without an ack of view ${view}`);
  }

  known(commitMax: number): void {
    if (commitMax > this.committedMax) this.committedMax = commitMax;
  }

  fetch(_from: ReplicaIndex, source: ReplicaIndex, id: Checksum): Snapshot | null {
    const peer = this.machine(source);
    return peer.replica === null ? null : (peer.disk.snapshots.get(id) ?? null);
  }

  readFails(replica: ReplicaIndex, op: number): boolean {
    return this.victim(op) === replica && this.prng.chance(this.readFailure);
  }

  note(replica: ReplicaIndex, text: string): void {
    if (!this.traceLog.verbose) return;
    this.traceLog.line(`${this.heap.nowMs.toFixed(3).padStart(11)} r${replica} ${text}`);
  }

  trace(what: number, a: number, b: number, c: number): void {
    this.traceLog.note(what, a, b, c);
  }

  /** At the end: nothing acked is missing, and all of the core agree on everything. */
  checkEnd(core: readonly SimReplica[]): void {
    const head = this.history.head;
    for (const each of core) {
      const { replica } = each;
      if (replica === null || replica.commitMin !== head) {
        throw new Violation(`end: replica ${each.index} at ${replica?.commitMin} of ${head}`);
      }
    }
  }
}
