import type { Metadata, RoomShard, RoomShardSpec } from "./room-shard.ts";
import { apiVersion, kind } from "./room-shard.ts";
import { rules } from "./rules.ts";
import { completeBySchema, isRecord } from "./schema-check.ts";
import { specSchema } from "./spec-schema.ts";

/** A checked manifest, or what is wrong with it: at least one sentence, each says what to do. */
export type Validated =
  | { readonly ok: true; readonly value: RoomShard }
  | { readonly ok: false; readonly faults: readonly string[] };

/**
 * Reads a RoomShard manifest as the API server would: fills in defaults, checks the schema and
 * every rule. `old`: the stored object that it would replace.
 */
export function validateRoomShard(manifest: unknown, old?: RoomShard): Validated {
  const refuse = (...faults: readonly string[]): Validated => ({ ok: false, faults });
  if (!isRecord(manifest)) return refuse("The manifest must be an object.");
  if (manifest["apiVersion"] !== apiVersion || manifest["kind"] !== kind) {
    return refuse(`The manifest must have apiVersion ${apiVersion} and kind ${kind}.`);
  }
  const metadata = manifest["metadata"];
  if (!isRecord(metadata) || typeof metadata["name"] !== "string") {
    return refuse("metadata.name is missing.");
  }
  const known = ["apiVersion", "kind", "metadata", "spec", "status"];
  const unknown = Object.keys(manifest).filter((name) => !known.includes(name));
  if (unknown.length > 0) return refuse(`${unknown.join(", ")} is not a known field.`);
  const completed = completeBySchema(specSchema, manifest["spec"], "spec");
  if (completed.faults.length > 0) return refuse(...completed.faults);
  // Sound: specSchema has one entry for each field of RoomShardSpec, and it has just been checked.
  const spec = completed.value as RoomShardSpec;
  const named = metadata as Record<string, unknown> & Metadata;
  const shard: RoomShard = { apiVersion, kind, metadata: named, spec };
  const broken = rules.filter((rule) => !rule.holds(shard, old));
  if (broken.length > 0) {
    return refuse(...broken.map((rule) => `${rule.fieldPath.slice(1)}: ${rule.message}`));
  }
  return { ok: true, value: shard };
}
