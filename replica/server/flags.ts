import { join } from "node:path";
import type { Checked } from "#replica/admin/checked.ts";
import { type ReplicaIndex, replicaFrom } from "#replica/base/brands.ts";

/** Command line of a replica process. */
export interface Flags {
  /** Path of the configuration file (replica/admin/replica-config.ts). */
  readonly config: string;
  readonly replica: ReplicaIndex;
  /** Data directory: the volume. */
  readonly data: string;
  /** Directory that is not on the volume, for `poisoned`; or null. */
  readonly state: string | null;
  /** File for the last sentence of a process that gives up; by default in `state`, or null. */
  readonly terminationLog: string | null;
}

/** What a wrong command line is answered with. */
export const usage =
  "Usage: replica --config FILE --replica 0|1|2 --data DIR [--state DIR] [--termination-log FILE]";

const names = ["config", "replica", "data", "state", "termination-log"];

function refused(what: string): Checked<Flags> {
  return { ok: false, sentence: `${what} ${usage}` };
}

/** Reads the arguments behind the script's name: `--name value` pairs. */
export function parseFlags(argv: readonly string[]): Checked<Flags> {
  const given = new Map<string, string>();
  for (let at = 0; at < argv.length; at += 2) {
    const name = (argv[at] ?? "").replace(/^--/, "");
    const value = argv[at + 1];
    if (!names.includes(name)) return refused(`There is no option ${argv[at]}.`);
    if (value === undefined || value === "") return refused(`--${name} needs a value.`);
    given.set(name, value);
  }
  const config = given.get("config");
  const data = given.get("data");
  const replica = given.get("replica") ?? "";
  if (config === undefined) return refused("--config is missing.");
  if (data === undefined) return refused("--data is missing.");
  if (!/^[012]$/.test(replica)) return refused("--replica must be 0, 1 or 2.");
  const state = given.get("state") ?? null;
  const beside = state === null ? null : join(state, "termination-log");
  const terminationLog = given.get("termination-log") ?? beside;
  const index = replicaFrom(Number(replica));
  return { ok: true, value: { config, replica: index, data, state, terminationLog } };
}
