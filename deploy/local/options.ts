import { Command, CommanderError, InvalidArgumentError } from "commander";

/** What the person asked for on the command line. */
export interface Options {
  /** Shards that divide the slots at genesis, 1 to shardsMax. Null = as the data has it, or 1. */
  readonly shards: number | null;
  /** Edge processes, 1 to edgesMax; the first serves the page. */
  readonly edges: number;
  /** Data directory, absolute or from the current folder. */
  readonly data: string;
  /** Port of the first edge; 0 = any free one. */
  readonly port: number;
  /** RoomShard manifest that describes every shard. */
  readonly manifest: string;
  /** Replica whose volume is lost and gets a new one, such as lobby-1; null = none. */
  readonly replace: string | null;
  /** Replica whose own key is changed on its volume, such as lobby-1; null = none. */
  readonly rotateKey: string | null;
  /** True: one JSON object on one line instead of the text for people. */
  readonly json: boolean;
}

/** Shards of one local run at most: each is three processes. */
export const shardsMax = 8;
/** Edges of one local run at most. */
export const edgesMax = 8;

function integerIn(first: number, last: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d{1,6}$/.test(text) && value >= first && value <= last) return value;
    throw new InvalidArgumentError(`Give a whole number from ${first} to ${last}.`);
  };
}

function path(text: string): string {
  if (text !== "" && !text.includes("\u0000")) return text;
  throw new InvalidArgumentError("Give a path.");
}

/** A replica is named `<shard>-0` to `-2`. */
function replicaName(text: string): string {
  if (/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?-[0-2]$/.test(text)) return text;
  throw new InvalidArgumentError("Give a replica's name, such as lobby-1.");
}

/**
 * Reads the command line. `manifest` is the default manifest's path. Returns the options, or the
 * text to print and the exit code: 0 for --help, 1 for a wrong flag.
 */
export function parseOptions(
  args: readonly string[],
  manifest: string,
): { readonly options: Options } | { readonly exitCode: number; readonly text: string } {
  const printed: string[] = [];
  const command = new Command("npm start --")
    .description("Runs a TigerChat fleet on this machine: shards of three replicas, and edges.")
    .option("--shards <n>", "shards; fixed at the first start", integerIn(1, shardsMax))
    .option("--edges <n>", "edge processes", integerIn(1, edgesMax), 1)
    .option("--data <dir>", "where the data lies", path, ".tigerchat")
    .option("--port <p>", "port of the page; 0 = any free one", integerIn(0, 65_535), 8080)
    .option("--manifest <file>", "RoomShard manifest", path, manifest)
    .option("--replace <name>", "give this replica, such as lobby-1, a new volume", replicaName)
    .option(
      "--rotate-key <name>",
      "give this replica, such as lobby-1, another key of its own",
      replicaName,
    )
    .option("--json", "print the facts as one JSON object on one line", false)
    .showSuggestionAfterError(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => printed.push(text),
      writeErr: (text) => printed.push(text),
    });
  try {
    command.parse(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return { exitCode: error.exitCode === 0 ? 0 : 1, text: printed.join("").trimEnd() };
  }
  type Given = Omit<Options, "shards" | "replace" | "rotateKey"> & {
    readonly shards?: number;
    readonly replace?: string;
    readonly rotateKey?: string;
  };
  const given = command.opts<Given>();
  const { shards = null, replace = null, rotateKey = null } = given;
  return { options: { ...given, shards, replace, rotateKey } };
}
