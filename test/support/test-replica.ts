import { ok } from "node:assert/strict";
import { replicaFrom } from "#replica/base/brands.ts";
import { formatStorage } from "#replica/storage/format-storage.ts";
import { type Opened, openStorage } from "#replica/storage/open-storage.ts";
import type { ReplicaStorage } from "#replica/storage/replica-storage.ts";
import type { Refusal } from "#replica/storage/storage-tools.ts";
import type { Prepare } from "#replica/wire/prepare.ts";
import type { RecoveredState } from "#replica/wire/storage-port.ts";
import { CrashDisk } from "./crash-disk.ts";
import { FakeVault } from "./fake-vault.ts";
import { storageTools } from "./opaque-tools.ts";
import { smallGeometry, testCluster, testFormat, testShard } from "./test-volume.ts";

/** One small volume of replica 0, formatted and opened, on a disk that can be cut off. */
export class TestReplica {
  readonly disk: CrashDisk;
  readonly vault: FakeVault;
  /** What a failed write reports; throws unless a test expects it. */
  onPoisoned: (why: string) => void = (why) => {
    throw new Error(`poisoned: ${why}`);
  };
  private opened: Opened | null = null;

  constructor(disk: CrashDisk, vault: FakeVault) {
    this.disk = disk;
    this.vault = vault;
  }

  /** A fresh volume. */
  static format(): TestReplica {
    const replica = new TestReplica(new CrashDisk(), new FakeVault().boot());
    const tools = storageTools(replica.disk, replica.vault);
    let formatted = false;
    formatStorage(testFormat(tools, smallGeometry.slotsCount), (result) => {
      formatted = result.ok;
    });
    replica.disk.settle();
    ok(formatted, "the volume was formatted");
    return replica.reopen();
  }

  /** Storage of the open volume. */
  get storage(): ReplicaStorage {
    ok(this.opened !== null);
    return this.opened.storage;
  }

  /** What opening recovered. */
  get recovered(): RecoveredState {
    ok(this.opened !== null);
    return this.opened.recovered;
  }

  /** The same durable bytes on a disk of their own, opened. */
  clone(): TestReplica {
    const disk = new CrashDisk();
    disk.restore(this.disk.snapshot());
    return new TestReplica(disk, this.vault).reopen();
  }

  /** Begins to open without completing a call. */
  beginOpen(done: (result: Opened | Refusal) => void = () => undefined): void {
    const tools = storageTools(this.disk, this.vault.boot(), (why) => this.onPoisoned(why));
    const expected = { cluster: testCluster, shard: testShard, replica: replicaFrom(0) };
    openStorage({ ...tools, ...expected }, done);
  }

  /** Opens; the refusal when it is refused. */
  tryOpen(): Opened | Refusal {
    let result: Opened | Refusal | null = null;
    this.beginOpen((found) => {
      result = found;
    });
    this.disk.settle();
    ok(result !== null, "opening ends");
    return result;
  }

  /** A restart of the process on the same disk. */
  reopen(): this {
    const result = this.tryOpen();
    ok(result.ok, result.ok ? "" : result.message);
    this.opened = result;
    return this;
  }

  /** Writes prepares and waits for everything, identifiers included. */
  writeAll(prepares: readonly Prepare[]): void {
    for (const prepare of prepares) this.storage.writePrepare(prepare, () => undefined);
    this.disk.settle();
  }

  /** Flips one bit of a file. */
  flip(file: string, at: number): void {
    const bytes = this.disk.files.get(file);
    ok(bytes !== undefined && at < bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
  }
}
