import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundle } from "#deploy/images/bundle.ts";

let made: Promise<string> | null = null;

/** Path of a bundle of the replica process, made once a test process: what the image ships. */
export function replicaBundle(): Promise<string> {
  made ??= (async () => {
    const directory = mkdtempSync(join(tmpdir(), "tigerchat-bundle-"));
    process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
    await bundle("replica", directory);
    return join(directory, "replica.js");
  })();
  return made;
}
