import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { treeHashes } from "#replica/crypto/sha256-lanes.ts";
import { checksumFrom, opFrom } from "#replica/base/brands.ts";
import type { Checksum } from "#replica/base/brands.ts";
import { ChatMachine } from "#replica/machine/chat-machine.ts";
import type { LoadedBlock, MachineGenesis, MachineOptions } from "#replica/machine/port.ts";
import { TreeHasher } from "#replica/machine/tree-hasher.ts";
import { CheckpointWriter } from "#replica/snapshot/checkpoint-writer.ts";
import type { WriterStep } from "#replica/snapshot/checkpoint-writer.ts";
import { decodeManifest, genesisManifest } from "#replica/snapshot/manifest.ts";
import type { Manifest } from "#replica/snapshot/manifest.ts";
import type { BlockAddress } from "#replica/snapshot/port.ts";
import { Restorer } from "#replica/snapshot/restorer.ts";
import type { ReadRange, RoomAnswer, RoomName } from "#replica/wire/client-message.ts";
import type { Prepare } from "#replica/wire/prepare.ts";

/** SHA-256 as replica/crypto gives it. */
export function sha256(bytes: Uint8Array): Checksum {
  return checksumFrom(createHash("sha256").update(bytes).digest("hex"));
}

/** A manifest that must decode. */
export function manifestOf(bytes: Uint8Array): Manifest {
  const decoded = decodeManifest(bytes);
  assert.ok(decoded.ok);
  return decoded.value;
}

/** What a shard's state costs to write and read, for tests of proportion. */
export interface Traffic {
  bytesWritten: number;
  stepMsMax: number;
}

/**
 * Machine, checkpoint writer and a disk in memory: what a replica does around them, without
 * consensus. Everything completes at once; checkpoints may be held back.
 */
export class MemoryShard {
  machine: ChatMachine;
  writer: CheckpointWriter;
  readonly disk = new Map<string, readonly Uint8Array[]>();
  /** Root and bytes of the last checkpoint. */
  root: Checksum;
  manifest: Uint8Array;
  sessions: Uint8Array = new Uint8Array(0);
  readonly traffic: Traffic = { bytesWritten: 0, stepMsMax: 0 };
  private readonly hasher = new TreeHasher(treeHashes);
  private readonly genesis: MachineGenesis;
  private readonly options: MachineOptions;
  private readonly stepBytes: number;

  constructor(genesis: MachineGenesis, options: MachineOptions = {}, stepBytes = 64 * 1024) {
    this.genesis = genesis;
    this.options = options;
    this.stepBytes = stepBytes;
    this.machine = new ChatMachine(genesis, options);
    this.manifest = genesisManifest(ChatMachine.genesisState(genesis));
    this.root = sha256(this.manifest);
    this.writer = this.makeWriter([]);
  }

  /** What all writers have done. */
  readonly counts = { merges: 0, sweeps: 0, sweptSegments: 0, sweptBytes: 0 };

  private makeWriter(segments: ConstructorParameters<typeof CheckpointWriter>[0]["segments"]) {
    const manifest = manifestOf(this.manifest);
    const { counts } = this;
    const { sweeper } = this.machine;
    return new CheckpointWriter({ hash: sha256, manifest, segments, sweeper, counts });
  }

  /** Loads blocks that must be there. */
  load(addresses: readonly BlockAddress[]): Uint8Array[] {
    return addresses.map(({ segment, block }) => {
      const bytes = this.disk.get(segment)?.[block];
      assert.ok(bytes, `block ${segment}/${block}`);
      return bytes;
    });
  }

  /** At most so many jobs of hashing trees; true when nothing is left. */
  hashTrees(jobs = Number.POSITIVE_INFINITY, entriesMax = 1000): boolean {
    const { ledger } = this.machine;
    assert.ok(ledger);
    for (let done = 0; done < jobs; ) {
      const step = ledger.step(entriesMax);
      if (step.kind === "idle") break;
      if (step.kind === "load") {
        const blocks = this.load(step.addresses);
        const loaded = step.addresses.map((address, i) => {
          return { address, bytes: blocks[i] ?? new Uint8Array(0) };
        });
        ledger.loaded(loaded);
        continue;
      }
      ledger.hashed(this.hasher.run(step.job));
      done += 1;
    }
    return !ledger.workWanted;
  }

  /** Commits one prepare. */
  commit(prepare: Prepare): readonly Uint8Array[] {
    return this.machine.apply(prepare, this.load(this.machine.needs(prepare)));
  }

  /** Freezes the state; the checkpoint is written by {@link writeCheckpoint}. */
  freeze(sessions: Uint8Array = new Uint8Array(0)): void {
    const op = opFrom(this.machine.op);
    this.machine.freeze(op);
    this.writer.begin(this.machine.frozen(op), sessions);
  }

  /** One step of the writer with its I/O; true while there is more to do. */
  step(): boolean {
    const before = performance.now();
    const step: WriterStep = this.writer.step(this.stepBytes);
    this.traffic.stepMsMax = Math.max(this.traffic.stepMsMax, performance.now() - before);
    if (step.kind === "write") {
      this.disk.set(
        step.segment.id,
        step.segment.blocks.map((block) => block.slice()),
      );
      for (const block of step.segment.blocks) this.traffic.bytesWritten += block.length;
      this.writer.written(step.segment.id);
    } else if (step.kind === "read") {
      this.writer.loaded(this.load(step.addresses));
    } else if (step.kind === "ready") {
      this.root = step.root;
      this.manifest = step.manifest;
      const { history, garbage } = this.writer.installed(step.op);
      this.machine.release(step.op, history);
      for (const id of garbage) this.disk.delete(id);
      return false;
    }
    assert.notEqual(step.kind, "waiting");
    return step.kind !== "idle";
  }

  /** Writes the checkpoint that was frozen first. */
  writeCheckpoint(): void {
    assert.ok(this.writer.urgent);
    while (this.step());
  }

  /** Freezes and writes. */
  checkpoint(sessions?: Uint8Array): void {
    this.freeze(sessions);
    this.writeCheckpoint();
  }

  /** Does all merges that are under way. */
  mergeAll(): void {
    while (this.step());
  }

  /** As after a restart: everything comes from the last checkpoint on disk. */
  restart(): void {
    this.machine = new ChatMachine(this.genesis, this.options);
    this.restore();
  }

  /** Loads the last checkpoint into the machine that runs. */
  restore(): void {
    const manifest = manifestOf(this.manifest);
    const restorer = new Restorer({ hash: sha256, manifest, sink: this.machine });
    for (;;) {
      const step = restorer.next();
      if (step.kind === "done") {
        this.sessions = step.sessions;
        this.writer = this.makeWriter(step.segments);
        return;
      }
      if (step.kind === "load") assert.deepEqual(restorer.give(this.load(step.addresses)), []);
    }
  }

  /** A whole read, with its loads. */
  read(name: RoomName, range: ReadRange): { answer: RoomAnswer; entries: Uint8Array } {
    const loaded: LoadedBlock[] = [];
    for (let round = 0; round < 20; round += 1) {
      const step = this.machine.read(name, range, loaded);
      if (step.kind === "answer") return step;
      const blocks = this.load(step.addresses);
      step.addresses.forEach((address, i) => {
        loaded.push({ address, bytes: blocks[i] ?? new Uint8Array(0) });
      });
    }
    throw new Error("a read ends after a few loads");
  }
}
