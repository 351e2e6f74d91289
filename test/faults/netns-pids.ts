import { readdirSync, readlinkSync, statSync } from "node:fs";

/** Processes within a network namespace, given by its file. */
export function netnsPids(file: string): readonly number[] {
  const wanted = `net:[${statSync(file).ino}]`;
  const all = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return all.map(Number).filter((pid) => {
    try {
      return pid !== process.pid && readlinkSync(`/proc/${pid}/ns/net`) === wanted;
    } catch {
      return false;
    }
  });
}
