import { opFrom, replicaFrom, viewFrom } from "#replica/base/brands.ts";
import type { ClientId } from "#replica/base/brands.ts";
import type { Effect } from "#replica/vsr/effect.ts";
import type { Event } from "#replica/vsr/event.ts";
import { Replica } from "#replica/vsr/replica.ts";
import type { PeerMessage } from "#replica/wire/peer-message.ts";
import type { Prepare } from "#replica/wire/prepare.ts";
import { Cluster } from "./cluster.ts";
import type { SimDisk } from "./disk.ts";
import { fakeHash, fakeSealer } from "./fake-sealer.ts";
import { runOptions } from "./run-options.ts";
import { ToyMachine, toyGenesis } from "./toy-machine.ts";

type Kind = PeerMessage["kind"];

/** One replica whose disk answers when told to, and whose peers are the test. */
export class Bench {
  readonly replica: Replica;
  readonly disk: SimDisk;
  sent: PeerMessage[] = [];
  readonly sentTo: { readonly to: number; readonly message: PeerMessage }[] = [];
  readonly alarms: string[] = [];
  others: Effect[] = [];
  nowMs = 0;

  constructor(index: number, disk?: SimDisk) {
    const cluster = new Cluster(1, runOptions(1), null);
    this.disk = disk ?? cluster.machine(index).disk;
    if (disk === undefined) {
      const { superblock } = this.disk;
      const first = { sequence: 1, nonce: 9, logView: viewFrom(0), op: opFrom(0) };
      const standing = { ...superblock.standing, lives: [first] };
      this.disk.superblock = { ...superblock, standing };
    }
    this.replica = new Replica({
      replica: replicaFrom(index),
      recovered: this.disk.recover(),
      machine: new ToyMachine(toyGenesis),
      sealer: fakeSealer,
      seed: 1,
      timing: { heartbeatMs: 20, suspectMs: 100, viewChangeMs: 150 },
      quorum: { replication: 2, viewChange: 2 },
      batch: { lingerMs: 0 },
      sessions: new Uint8Array(0),
    });
    this.step({ kind: "timeout" });
    if (disk !== undefined) return;
    this.settle();
    for (const peer of [0, 1, 2]) if (peer !== index) this.from(peer, 0, this.vouching());
    this.sent = [];
  }

  /** A peer's ping, which vouches for the volume as it was opened last. */
  vouching(verdict: "sound" | "rolled_back" = "sound") {
    const { identity, standing, checkpoint } = this.disk.superblock;
    const life = standing.lives.at(-1);
    const peers = { sequence: 3, nonce: 1, logView: viewFrom(0), op: opFrom(0) };
    return {
      kind: "pong" as const,
      monotonicMs: 0,
      wallClockUs: 0,
      formationId: identity.formationId,
      machineVersionMax: 1,
      commitMin: opFrom(0),
      lives: [peers],
      mark: { sequence: 3, logView: viewFrom(0), op: opFrom(0) },
      yours: { life: life?.sequence ?? 0, nonce: life?.nonce ?? 0, verdict },
      replaced: [] as readonly unknown[],
      status: "normal",
      learner: false,
      voteFloor: viewFrom(0),
      checkpointOp: checkpoint.op,
      checkpointId: checkpoint.id,
    };
  }

  step(event: Event): void {
    this.replica.step(event, this.nowMs, this.nowMs * 1000);
    this.take();
    if (!this.replica.unfinished) return;
    this.replica.finish();
    this.take();
  }

  private take(): void {
    for (const effect of this.replica.drain()) {
      if (effect.kind === "send") {
        this.sent.push(effect.message);
        this.sentTo.push(effect);
      } else if (effect.kind === "alarm") this.alarms.push(effect.what);
      else this.others.push(effect);
    }
  }

  /** Lets every write that was begun end; prepares only when `prepares`. */
  settle(prepares = true): void {
    for (let effect = this.others.shift(); effect !== undefined; effect = this.others.shift()) {
      if (effect.kind === "write_superblock") {
        this.disk.superblock = effect.state;
        this.step({ kind: "superblock_durable", sequence: effect.state.sequence });
      } else if (effect.kind === "write_prepare" && prepares) {
        const { op, checksum } = effect.prepare.header;
        this.disk.beginWrite(effect.prepare);
        this.disk.finishWrite(effect.prepare);
        this.step({ kind: "prepare_durable", op, checksum });
      }
    }
  }

  from(peer: number, view: number, body: Record<string, unknown> & { kind: Kind }): void {
    const incarnation = `${peer + 1}`.repeat(32);
    const envelope = { from: replicaFrom(peer), incarnation, view: viewFrom(view) };
    this.step({ kind: "message", message: { ...envelope, ...body } as unknown as PeerMessage });
  }

  register(client: string): void {
    const body = new Uint8Array(0);
    const header = {
      session: opFrom(0),
      requestNumber: 0,
      requestChecksum: fakeHash(body),
      clientId: client.repeat(32) as ClientId,
      operationsCount: 0,
    };
    this.step({ kind: "request", request: { header, body }, viewKnown: 0 });
  }

  last(kind: Kind): PeerMessage | undefined {
    return this.sent.findLast((message) => message.kind === kind);
  }

  prepare(): Prepare {
    const message = this.last("prepare");
    if (message?.kind !== "prepare") throw new Error("bench: no prepare was sent");
    return message.prepare;
  }

  ok(peer: number, view: number, prepare: Prepare): void {
    const { op, checksum } = prepare.header;
    const zero = opFrom(0);
    this.from(peer, view, {
      kind: "prepare_ok",
      op,
      checksum,
      commitMin: zero,
      checkpointOp: zero,
    });
  }
}

/** Makes replica 1 primary of view 1 with a registration prepared, durable here if wanted. */
export function leadViewOne(bench: Bench, durable: boolean): { prepare: Prepare } {
  bench.from(0, 0, { kind: "start_view_change" });
  bench.step({ kind: "peer_refused", replica: replicaFrom(0) });
  bench.settle();
  const head = bench.disk.slot(0).prepare?.header;
  bench.from(2, 1, {
    kind: "do_view_change",
    logView: 0,
    op: 0,
    commitMin: 0,
    commitMax: 0,
    checkpoint: bench.disk.superblock.checkpoint,
    quorumCheckpointOp: 0,
    headers: [head],
    present: [true],
    nack: [false],
  });
  bench.settle();
  bench.register("b");
  bench.settle(durable);
  return { prepare: bench.prepare() };
}
