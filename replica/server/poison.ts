import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { makeDirectory, readText, replaceFile } from "./durable-file.ts";

/**
 * Remembers, outside the volume, that the volume's disk failed a sync: the kernel may now hold
 * pages that the disk never stored, so nothing on it may be trusted again (rule B).
 */
export class Poison {
  private readonly path: string;

  /** `state`: a directory that outlives the process and not the machine; else beside the data. */
  constructor(state: string | null, data: string) {
    const beside = `${resolve(data)}.poisoned`;
    this.path = state === null ? beside : join(state, "poisoned");
    const directory = dirname(this.path);
    if (!existsSync(directory)) makeDirectory(directory);
  }

  /** Why the volume is poisoned, or null. */
  get reason(): string | null {
    return readText(this.path);
  }

  /** Poisons the volume; only a replacement of the volume ends it. */
  set(reason: string): void {
    replaceFile(this.path, `${reason}\n`, 0o600);
  }
}
