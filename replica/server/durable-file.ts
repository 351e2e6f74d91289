import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from "node:fs";
import { dirname, resolve } from "node:path";

/** Text of a small file, or null when there is none. Other failures of the disk throw. */
export function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}

function syncDirectory(path: string): void {
  const handle = openSync(path, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/**
 * Makes a directory and what is missing above it, readable by the owner only, durably: a name
 * whose parent was never synced is gone after a power cut, with everything below it.
 */
export function makeDirectory(path: string): void {
  const first = mkdirSync(path, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  const top = dirname(resolve(first));
  for (let at = dirname(resolve(path)); at.length > top.length; at = dirname(at)) syncDirectory(at);
  syncDirectory(top);
}

/** Replaces a small file as a whole: written aside, synced, renamed, directory synced. */
export function replaceFile(path: string, text: string, mode: number): void {
  const aside = `${path}.new`;
  const handle = openSync(aside, "w", mode);
  try {
    writeSync(handle, text);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(aside, path);
  syncDirectory(dirname(path));
}

/** Renames a small file over another one, durably; nothing when there is none. */
export function moveFile(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return;
    throw error;
  }
  syncDirectory(dirname(to));
}
