import type { Disk, Zone } from "#replica/wire/storage-port.ts";
import type { Refusal } from "./storage-tools.ts";

/** Where a replica's files are. */
export interface FileDiskOptions {
  /** The data directory; made when absent. */
  readonly directory: string;
  /** True: no lock, nothing is created, every write is refused (inspect). */
  readonly readOnly?: boolean;
}

/** Files of a data directory: O_DSYNC positional writes, one libuv job each, under a lock. */
export class FileDisk implements Disk {
  /** Locks the directory, opens and syncs what is there. Code `locked`: another process has it. */
  static open(_options: FileDiskOptions): FileDisk | (Omit<Refusal, "code"> & { readonly code: "locked" | "io" }) {
    throw new Error("not built yet");
  }

  write(_zone: Zone, _offset: number, _bytes: Uint8Array, _done: (r: "ok" | "error") => void): void {
    throw new Error("not built yet");
  }

  read(_zone: Zone, _offset: number, _length: number, _done: (b: Uint8Array | null) => void): void {
    throw new Error("not built yet");
  }

  create(_zone: Zone, _bytes: number, _done: (r: "ok" | "error") => void): void {
    throw new Error("not built yet");
  }

  remove(_zone: Zone, _done: (r: "ok" | "error") => void): void {
    throw new Error("not built yet");
  }

  listSegments(_done: (ids: readonly string[] | null) => void): void {
    throw new Error("not built yet");
  }

  /** Waits for writes in flight, closes the files, frees the lock. */
  close(_done: () => void): void {
    throw new Error("not built yet");
  }
}
