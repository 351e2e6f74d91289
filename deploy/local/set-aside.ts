import { existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { DataDirectory } from "./data-directory.ts";
import type { ShardPlan } from "./fleet-files.ts";
import { isLearning, learningFile, markLearning } from "./learning-mark.ts";
import { Refusal } from "./refusal.ts";

/**
 * Moves the volume of a replica that shall be replaced out of the way, before its process starts:
 * it finds an empty one. Throws a Refusal unless both other volumes of its shard are formatted, and
 * vote as far as is known: one voter alone would be left, and the shard would not start.
 */
export function setAside(
  directory: DataDirectory,
  plans: readonly ShardPlan[],
  name: string,
): void {
  const shard = shardOf(plans, name);
  const volumeOf = (each: string) => directory.folder("shards", shard, each, "volume");
  const missing = [0, 1, 2]
    .map((replica) => `${shard}-${replica}`)
    .filter((each) => each !== name && !existsSync(join(volumeOf(each), "superblock")));
  if (missing.length > 0) {
    const why = `the data of ${missing.join(" and ")} is missing`;
    throw new Refusal(`${name} cannot be replaced: ${why}, and a replacement needs both others.`);
  }
  const learning = [0, 1, 2]
    .map((replica) => `${shard}-${replica}`)
    .filter((each) => each !== name && isLearning(learningFile(directory, shard, each)));
  if (learning.length > 0) {
    const who = learning.join(" and ");
    const why = `the new volume of ${who} does not vote yet, and one voter alone is no shard`;
    const remedy = `Start without --replace until tigerchat_replica_voting of ${who} is 1`;
    throw new Refusal(`${name} cannot be replaced yet: ${why}. ${remedy}.`);
  }
  markLearning(learningFile(directory, shard, name));
  const volume = volumeOf(name);
  // What a replacement left unfinished is an empty volume with a key: the next try goes on with it.
  const has = (...path: readonly string[]) => existsSync(join(volume, ...path));
  if (has("superblock") || (has("prepares") && !has("keys", "replacement.json"))) {
    renameSync(volume, `${volume}.replaced-${Date.now()}`);
  }
  rmSync(directory.folder("shards", shard, name, "state"), { recursive: true, force: true });
}

/** The shard of a replica's name, such as lobby-1; throws a Refusal when there is none. */
export function shardOf(plans: readonly ShardPlan[], name: string): string {
  const shard = plans
    .map((plan) => plan.manifest.metadata.name)
    .find((each) => {
      return [0, 1, 2].some((replica) => `${each}-${replica}` === name);
    });
  if (shard !== undefined) return shard;
  const names = plans.map((plan) => `${plan.manifest.metadata.name}-0 to -2`).join(", ");
  throw new Refusal(`There is no replica ${name}; there are ${names}.`);
}
