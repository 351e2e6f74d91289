import type { RoomShard, RoomShardSpec } from "#operator/api/room-shard.ts";

/** What matters in a pod template: when any of it changes, pods must be replaced. */
export interface TemplateFacts {
  readonly image: string;
  readonly resources: RoomShardSpec["resources"];
  readonly scheduling: RoomShardSpec["scheduling"];
  /** Text of the replica's configuration file; a process reads it at start only. */
  readonly config: string;
  readonly keySecret: string;
}

/** The facts of a shard's template. `image` is what the operator resolved. */
export function templateFactsOf(
  shard: RoomShard,
  image: string,
  config: string,
  keySecret: string,
): TemplateFacts {
  const { resources, scheduling } = shard.spec;
  return { image, resources, scheduling, config, keySecret };
}

/** A text that is equal for equal facts, whatever the order of their members. */
export function canonicalText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  const texts = entries.map(([name, item]) => `${JSON.stringify(name)}:${canonicalText(item)}`);
  return `{${texts.join(",")}}`;
}

/**
 * Semantic hash of a template, 16 hex digits. Covers {@link TemplateFacts} only: labels, probes and
 * whatever else a new operator writes differently roll nothing.
 */
export function templateHash(facts: TemplateFacts, sha256: (text: string) => string): string {
  return sha256(canonicalText(facts)).slice(0, 16);
}
