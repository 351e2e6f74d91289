// npm run bench -- [what to measure], and the options of README.md
import { writeFileSync } from "node:fs";
import { messageBodyBytesMax } from "#replica/base/limits.ts";
import { numberFlag, refuse, toolFlags } from "#test/support/tool-flags.ts";
import { runDisturbed } from "./disturbed.ts";
import { type FailoverKind, runFailover } from "./failover.ts";
import { runQuietViews } from "./quiet-views.ts";
import { runHistory } from "./history.ts";
import { runManyRooms } from "./many-rooms.ts";
import { runShardSync } from "./shard-sync.ts";
import { type Report, runThroughput } from "./throughput.ts";

const text = { type: "string" } as const;
const flag = { type: "boolean", default: false } as const;
const numbers = { rate: text, seconds: text, links: text, kills: text, idle: text, load: text };
const sizes = { body: text, pace: text, entries: text, rooms: text, sync: text, fill: text };
const files = { json: text, profile: text, directory: text };
const kinds = { stop: flag, transfer: flag, saturated: flag, "no-gate": flag };
const { values, positionals } = toolFlags({
  allowPositionals: true,
  options: { ...numbers, ...sizes, ...files, ...kinds, wal: text },
});

for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));

type Named = keyof typeof numbers | keyof typeof sizes | "wal";

/** A whole number of at least `min`, or the fallback. */
function count(name: Named, fallback: number, min = 1): number {
  return numberFlag(`--${name}`, values[name], fallback, { min });
}

const common = {
  seconds: count("seconds", 10),
  links: count("links", 1),
  bodyBytes: numberFlag("--body", values.body, 128, { min: 0, max: messageBodyBytesMax }),
  paceMs: numberFlag("--pace", values.pace, 2, { min: 0, whole: false }),
  walSizeBytes: count("wal", 128) * 1024 * 1024,
  gate: !values["no-gate"],
  ...(values.profile === undefined ? {} : { profile: values.profile }),
  ...(values.directory === undefined ? {} : { directory: values.directory }),
};

function failoverKind(): FailoverKind {
  if (values.stop) return "stop";
  return values.transfer ? "transfer" : "kill";
}

/** What the first word asks for; the throughput of one shard without one. */
const benches: Readonly<Record<string, () => Promise<Report>>> = {
  failover: () => {
    const rate = count("rate", 1_000);
    return runFailover({ ...common, rate, kind: failoverKind(), events: count("kills", 20) });
  },
  "quiet-views": () => {
    const [idleSeconds, loadSeconds] = [count("idle", 600, 0), count("load", 600, 0)];
    return runQuietViews({ ...common, idleSeconds, loadSeconds });
  },
  history: () => {
    const [entries, rooms] = [count("entries", 10) * 1_000_000, count("rooms", 1_000_000)];
    const sync = values.sync === undefined ? {} : { syncMiBPerS: count("sync", 50) };
    return runHistory({ ...common, ...sync, entries, rooms });
  },
  rooms: () => {
    return runManyRooms({ ...common, rate: count("rate", 20_000), rooms: count("rooms", 1e6) });
  },
  sync: () => {
    const { bodyBytes: _body, seconds: _seconds, ...some } = common;
    const [fillMiB, syncMiBPerS] = [count("fill", 1024), count("sync", 50)];
    return runShardSync({ ...some, fillMiB, syncMiBPerS, rate: count("rate", 2_000) });
  },
  disturbed: () => runDisturbed({ ...common, rate: count("rate", 20_000) }),
  throughput: () => {
    return runThroughput({ ...common, rate: values.saturated ? null : count("rate", 50_000) });
  },
};

function run(): Promise<Report> {
  const [what = "throughput", ...more] = positionals;
  const bench = more.length > 0 ? undefined : benches[what];
  return bench?.() ?? refuse(`Name one of ${Object.keys(benches).join(", ")}, or nothing.`);
}

const report = await run();
console.log(report.table);
if (values.json !== undefined) {
  writeFileSync(values.json, `${JSON.stringify(report.json, null, 2)}\n`);
}
