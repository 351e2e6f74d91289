import { join } from "node:path";
import {
  checkGenesisRequest,
  checkReplacement,
  type GenesisRequest,
  type Replacement,
} from "#replica/admin/admin-calls.ts";
import { checkedFromText } from "#replica/admin/checked.ts";
import { readText, replaceFile } from "./durable-file.ts";
import { memberOf, type Replacement as FormatAs } from "./formation.ts";
import { KeyHistory } from "./key-history.ts";
import type { Log } from "./log.ts";
import type { Volume } from "./volume.ts";

function path(volume: Volume): string {
  return join(volume.data, "keys", "replacement.json");
}

/** What a replacement was asked for here, as JSON text, or null. */
export function loadReplacement(volume: Volume): string | null {
  return readText(path(volume));
}

/** Records a replacement before anything is formatted: it may be cut off and run again. */
export function saveReplacement(volume: Volume, replacement: Replacement): void {
  volume.saveGenesis(JSON.stringify(replacement.genesis));
  replaceFile(path(volume), JSON.stringify(replacement), 0o600);
}

/** The genesis that this volume recorded, or null when its file is gone or damaged. */
export function recordedGenesis(volume: Volume): GenesisRequest | null {
  const json = volume.loadGenesis();
  const genesis = json === null ? null : checkedFromText(json, checkGenesisRequest);
  return genesis?.ok === true ? genesis.value : null;
}

/** The recorded replacement as a volume is formatted by it, or null. */
export function recordedReplacement(json: string): Replacement | null {
  const replacement = checkedFromText(json, checkReplacement);
  return replacement.ok ? replacement.value : null;
}

/** Members that the files of a volume name, and what it remembers of the others. */
export function knownMembers(volume: Volume, log: Log): KeyHistory {
  const genesis = recordedGenesis(volume)?.members ?? [];
  const json = loadReplacement(volume);
  const { members = [], former = [] } = (json === null ? null : recordedReplacement(json)) ?? {};
  const first = genesis.map((member) => ({ ...member, replaceOp: 0 }));
  const file = join(volume.data, "keys", "members.json");
  return new KeyHistory(file, [...first, ...former, ...members], (why) => {
    log.warn("members_file_failed", { why });
  });
}

/** A replacement as the format takes it. */
export function formatOf({ members, learnOp, view }: Replacement): FormatAs {
  return { members: members.map((member) => memberOf(member)), learnOp, view };
}
