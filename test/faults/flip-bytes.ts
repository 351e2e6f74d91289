import { closeSync, fsyncSync, openSync, readSync, statSync, writeSync } from "node:fs";

/** Inverts bytes of a file in place and syncs it. Offsets beyond the end are an error. */
export function flipBytes(path: string, offsets: readonly number[]): void {
  const file = openSync(path, "r+");
  const byte = Buffer.alloc(1);
  try {
    for (const offset of offsets) {
      if (readSync(file, byte, 0, 1, offset) !== 1)
        throw new Error(`${path} ends before ${offset}`);
      byte[0] = (byte[0] ?? 0) ^ 0xff;
      writeSync(file, byte, 0, 1, offset);
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** One byte in every `step` bytes of a file, from `start` on. */
export function everyByte(path: string, step: number, start = 0): readonly number[] {
  const { size } = statSync(path);
  const count = Math.max(0, Math.ceil((size - start) / step));
  return Array.from({ length: count }, (_, index) => start + index * step);
}
