// npm run bench -- [failover | quiet-views | disturbed | history | rooms | sync], and the options
// of README.md
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { runDisturbed } from "./disturbed.ts";
import { type FailoverKind, runFailover } from "./failover.ts";
import { runQuietViews } from "./quiet-views.ts";
import { runHistory } from "./history.ts";
import { runManyRooms } from "./many-rooms.ts";
import { runShardSync } from "./shard-sync.ts";
import { type Report, runThroughput } from "./throughput.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rate: { type: "string" },
    seconds: { type: "string", default: "10" },
    links: { type: "string", default: "1" },
    kills: { type: "string", default: "20" },
    stop: { type: "boolean", default: false },
    transfer: { type: "boolean", default: false },
    idle: { type: "string", default: "600" },
    load: { type: "string", default: "600" },
    body: { type: "string", default: "128" },
    pace: { type: "string", default: "2" },
    entries: { type: "string", default: "10" },
    rooms: { type: "string", default: "1000000" },
    sync: { type: "string" },
    fill: { type: "string", default: "1024" },
    wal: { type: "string", default: "128" },
    json: { type: "string" },
    saturated: { type: "boolean", default: false },
    "no-gate": { type: "boolean", default: false },
    profile: { type: "string" },
    directory: { type: "string" },
  },
});

for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));

const common = {
  seconds: Number(values.seconds),
  links: Number(values.links),
  bodyBytes: Number(values.body),
  paceMs: Number(values.pace),
  walSizeBytes: Number(values.wal) * 1024 * 1024,
  gate: !values["no-gate"],
  ...(values.profile === undefined ? {} : { profile: values.profile }),
  ...(values.directory === undefined ? {} : { directory: values.directory }),
};

function failoverKind(): FailoverKind {
  if (values.stop) return "stop";
  return values.transfer ? "transfer" : "kill";
}

async function run(): Promise<Report> {
  switch (positionals[0]) {
    case "failover": {
      const rate = Number(values.rate ?? 1000);
      return runFailover({ ...common, rate, kind: failoverKind(), events: Number(values.kills) });
    }
    case "quiet-views": {
      const { idle, load } = values;
      return runQuietViews({ ...common, idleSeconds: Number(idle), loadSeconds: Number(load) });
    }
    case "history": {
      const [entries, rooms] = [Number(values.entries) * 1_000_000, Number(values.rooms)];
      const sync = values.sync === undefined ? {} : { syncMiBPerS: Number(values.sync) };
      return runHistory({ ...common, ...sync, entries, rooms });
    }
    case "rooms": {
      const rate = Number(values.rate ?? 20_000);
      return runManyRooms({ ...common, rate, rooms: Number(values.rooms) });
    }
    case "sync": {
      const { bodyBytes: _body, seconds: _seconds, ...some } = common;
      const [fillMiB, syncMiBPerS] = [Number(values.fill), Number(values.sync ?? 50)];
      return runShardSync({ ...some, fillMiB, syncMiBPerS, rate: Number(values.rate ?? 2_000) });
    }
    case "disturbed":
      return runDisturbed({ ...common, rate: Number(values.rate ?? 20_000) });
    default: {
      const rate = values.saturated ? null : Number(values.rate ?? 50_000);
      return runThroughput({ ...common, rate });
    }
  }
}

const report = await run();
console.log(report.table);
if (values.json !== undefined) {
  writeFileSync(values.json, `${JSON.stringify(report.json, null, 2)}\n`);
}
