import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable } from "node:stream";

const program = new URL("../../test/support/wal-writer-process.ts", import.meta.url).pathname;

/** Starts a process that writes prepares from an op on and prints what is durable. */
export function startWalWriter(
  directory: string,
  options: { readonly first: number; readonly bytes: number },
): ChildProcessByStdio<null, Readable, null> {
  const arguments_ = [program, directory, String(options.first), String(options.bytes)];
  return spawn(process.execPath, arguments_, { stdio: ["ignore", "pipe", "inherit"] });
}
