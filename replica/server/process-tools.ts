import { crc32, sha256 } from "#replica/crypto/hash.ts";
import type { NodeVault } from "#replica/crypto/node-vault.ts";
import type { FileDisk } from "#replica/storage/file-disk.ts";
import type { StorageTools } from "#replica/storage/storage-tools.ts";
import type { FrameScope } from "#replica/wire/frame.ts";
import { decodePrepareHeader, encodePrepareHeader } from "#replica/wire/prepare-codec.ts";

/** What storage needs, as a process has it. `gatherMs`: how long identifiers gather. */
export function storageToolsOf(
  scope: FrameScope,
  disk: FileDisk,
  vault: NodeVault,
  gatherMs: number,
  poisoned: (why: string) => void,
): StorageTools {
  return {
    disk,
    vault,
    hash: sha256,
    crc32,
    encodeHeader: (header, into, offset) => encodePrepareHeader(scope, header, into, offset),
    decodeHeader: (bytes) => {
      const header = decodePrepareHeader(scope, bytes);
      return header.ok ? header.value : null;
    },
    // Each group of identifiers is a synced write: shorter ones cost as much as the prepares.
    later: (run) => setTimeout(run, gatherMs),
    poisoned,
  };
}
