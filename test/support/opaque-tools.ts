import type { StorageTools } from "#replica/storage/storage-tools.ts";
import { CrashDisk } from "./crash-disk.ts";
import { FakeVault } from "./fake-vault.ts";
import { smallGeometry, testTools } from "./test-volume.ts";

/** Storage tools over a disk of their own, for tests that only need the types satisfied. */
export const opaqueTools: StorageTools = storageTools(new CrashDisk(), new FakeVault());

/** Storage tools over a test's disk and vault; a poisoned volume throws. */
export function storageTools(
  disk: CrashDisk,
  vault: FakeVault,
  poisoned: (why: string) => void = (why) => {
    throw new Error(`poisoned: ${why}`);
  },
): StorageTools {
  return {
    ...testTools,
    disk,
    vault,
    later: (run) => disk.defer(run),
    poisoned,
    slotBytes: smallGeometry.slotBytes,
  };
}
