import { ok } from "node:assert/strict";
import { join } from "node:path";
import { replicaFrom } from "#replica/base/brands.ts";
import { NodeVault } from "#replica/crypto/node-vault.ts";
import { FileDisk } from "#replica/storage/file-disk.ts";
import { type Formatted, formatStorage } from "#replica/storage/format-storage.ts";
import { type Opened, openStorage } from "#replica/storage/open-storage.ts";
import type { Refusal, StorageTools } from "#replica/storage/storage-tools.ts";
import { testCluster, testFormat, testShard, testTools } from "./test-volume.ts";

/** A replica's data directory on real files, with real encryption. */
export class FileVolume {
  readonly disk: FileDisk;
  private readonly vault: NodeVault;
  private readonly tools: StorageTools;

  /** Locks the directory and opens its key table. */
  constructor(directory: string, kek = "5a".repeat(32)) {
    const disk = FileDisk.open({ directory });
    ok(disk instanceof FileDisk, disk instanceof FileDisk ? "" : disk.message);
    const file = join(directory, "keys", "data-keys");
    const vault = NodeVault.open({ file, kek, kekFile: "kek" });
    ok(vault.ok, vault.ok ? "" : vault.reason);
    this.disk = disk;
    this.vault = vault.value;
    this.tools = {
      ...testTools,
      disk,
      vault: vault.value,
      later: (run) => void setTimeout(run, 2),
      poisoned: (why) => {
        throw new Error(`poisoned: ${why}`);
      },
    };
  }

  /** Genesis with that many slots of the full size. */
  format(slotsCount: number): Promise<Formatted> {
    return new Promise((done) => formatStorage(testFormat(this.tools, slotsCount), done));
  }

  /** Opens as replica 0. */
  open(): Promise<Opened | Refusal> {
    const expected = { cluster: testCluster, shard: testShard, replica: replicaFrom(0) };
    return new Promise((done) => openStorage({ ...this.tools, ...expected }, done));
  }

  /** Frees the directory. */
  close(): Promise<void> {
    return new Promise((done) => {
      this.disk.close(() => {
        this.vault.close();
        done();
      });
    });
  }
}
