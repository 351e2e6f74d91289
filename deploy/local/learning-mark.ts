import { existsSync, rmSync, writeFileSync } from "node:fs";
import type { AdminClient } from "#operator/pki/admin-client.ts";
import type { DataDirectory } from "./data-directory.ts";

/** Milliseconds between two looks whether a new volume votes. */
const lookMs = 200;

/** File that says of a replica that its volume was set aside and the new one has no vote yet. */
export function learningFile(directory: DataDirectory, shard: string, name: string): string {
  return directory.file("shards", shard, name, "learning");
}

/** Before the old volume goes: from then on this replica has no vote. */
export function markLearning(file: string): void {
  writeFileSync(file, "");
}

/** True as long as no run saw the new volume vote. */
export function isLearning(file: string): boolean {
  return existsSync(file);
}

/** Takes the mark away once the replica votes, however long that takes; beside all else. */
export async function unmarkWhenVoting(file: string, admin: AdminClient): Promise<void> {
  while (isLearning(file)) {
    const status = await admin.status();
    if (status.kind === "ok" && status.value.state === "normal" && status.value.voting) {
      rmSync(file, { force: true });
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, lookMs).unref());
  }
}
