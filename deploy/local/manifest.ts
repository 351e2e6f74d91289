import { readFileSync } from "node:fs";
import { parse } from "yaml";
import type { RoomShard } from "#operator/api/room-shard.ts";
import { validateRoomShard } from "#operator/api/validate.ts";
import { slotsCount } from "#replica/base/limits.ts";
import { codeOf, Refusal } from "./refusal.ts";

/** Reads the manifest that kubectl applies. Throws a Refusal that names file and fault. */
export function readManifest(file: string): RoomShard {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new Refusal(`The manifest ${file} cannot be read (${codeOf(error)}).`);
  }
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    const why = error instanceof Error ? error.message.split("\n")[0] : String(error);
    throw new Refusal(`The manifest ${file} is not YAML: ${why}`);
  }
  const validated = validateRoomShard(value);
  if (validated.ok) return validated.value;
  throw new Refusal(`The manifest ${file} is refused: ${validated.faults.join(" ")}`);
}

/**
 * One manifest a shard: the given one, then copies named `<name>-2`, `<name>-3` and so on, with
 * the slot space divided evenly among them, as a fleet's genesis has it.
 */
export function manifestsOf(manifest: RoomShard, shards: number): readonly RoomShard[] {
  if (shards === 1) return [manifest];
  return Array.from({ length: shards }, (_, index) => {
    const first = Math.floor((slotsCount * index) / shards);
    const next = Math.floor((slotsCount * (index + 1)) / shards);
    const name = index === 0 ? manifest.metadata.name : `${manifest.metadata.name}-${index + 1}`;
    return {
      ...manifest,
      metadata: { ...manifest.metadata, name },
      spec: { ...manifest.spec, initialSlots: { first, count: next - first } },
    };
  });
}
