import type { Checksum, Op } from "#replica/base/brands.ts";
import type { Prepare } from "#replica/wire/prepare.ts";
import type { Storage } from "#replica/wire/storage-port.ts";
import type { SuperblockState } from "#replica/wire/superblock.ts";

/**
 * A replica's durable storage over a Disk and a Vault; made by `openStorage` only. The same class
 * runs over files and in the simulator: callbacks, no clock, no chance, nothing of Node.
 */
export class ReplicaStorage implements Storage {
  writePrepare(_prepare: Prepare, _done: () => void): void {
    throw new Error("not built yet");
  }

  readPrepare(_op: Op, _checksum: Checksum, _done: (prepare: Prepare | null) => void): void {
    throw new Error("not built yet");
  }

  writeSuperblock(_state: SuperblockState, _done: () => void): void {
    throw new Error("not built yet");
  }

  writeSegment(_id: string, _blocks: readonly Uint8Array[], _done: () => void): void {
    throw new Error("not built yet");
  }

  readBlock(_id: string, _block: number, _done: (bytes: Uint8Array | null) => void): void {
    throw new Error("not built yet");
  }

  repairBlock(_id: string, _block: number, _bytes: Uint8Array, _done: () => void): void {
    throw new Error("not built yet");
  }

  removeSegments(_ids: readonly string[], _done: () => void): void {
    throw new Error("not built yet");
  }
}
