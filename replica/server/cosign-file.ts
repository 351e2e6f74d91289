import { closeSync, constants, existsSync, openSync, readFileSync, write } from "node:fs";
import { join } from "node:path";
import { checksumFrom } from "#replica/base/brands.ts";
import { crc32 } from "#replica/crypto/hash.ts";
import { utf8From } from "#replica/base/text.ts";
import type { CosignMark, CosignMemory } from "./cosigning.ts";
import { replaceFile } from "./durable-file.ts";

/** Bytes of one record; two alternate, so that a torn write leaves the one before it. */
const recordBytes = 512;

function encode(mark: CosignMark): string {
  const text = `${mark.size} ${mark.root}`;
  return `${text} ${crc32(utf8From(text))}\n`.padEnd(recordBytes - 1, " ").concat("\n");
}

function decode(text: string): CosignMark | null {
  const found = /^(\d{1,16}) ([0-9a-f]{64}) (\d{1,10})\n/.exec(text);
  const [, size, root, sum] = found ?? [];
  if (size === undefined || root === undefined) return null;
  if (crc32(utf8From(`${size} ${root}`)) !== Number(sum)) return null;
  return { size: Number(size), root: checksumFrom(root) };
}

/**
 * `proofs-signed` of a data directory: newest head of the shard's log that this replica signed. A
 * write is durable (O_DSYNC) before `done`; one that fails poisons the volume, as everywhere.
 */
export class CosignFile implements CosignMemory {
  readonly mark: CosignMark | null;
  private readonly file: number;
  private readonly poisoned: (why: string) => void;
  private turn = 0;

  /** Makes the file when there is none. Throws when it cannot be opened. */
  constructor(data: string, poisoned: (why: string) => void) {
    const path = join(data, "proofs-signed");
    if (!existsSync(path)) replaceFile(path, " ".repeat(2 * recordBytes), 0o600);
    const text = readFileSync(path, "latin1");
    const marks = [0, 1].map((turn) => decode(text.slice(turn * recordBytes)));
    const [one = null, two = null] = marks;
    const second = (two?.size ?? -1) > (one?.size ?? -1);
    this.mark = second ? two : one;
    this.turn = second ? 0 : 1;
    this.file = openSync(path, constants.O_WRONLY | constants.O_DSYNC);
    this.poisoned = poisoned;
  }

  save(mark: CosignMark, done: () => void): void {
    const bytes = Buffer.from(encode(mark), "latin1");
    const at = this.turn * recordBytes;
    this.turn = 1 - this.turn;
    write(this.file, bytes, 0, recordBytes, at, (error, written) => {
      if (error === null && written === recordBytes) done();
      else this.poisoned(`write of proofs-signed failed: ${error?.message ?? "short write"}`);
    });
  }

  /** Closes the file; nothing is saved after it. */
  close(): void {
    closeSync(this.file);
  }
}
