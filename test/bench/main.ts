// npm run bench -- [failover] [--rate N] [--seconds N] [--links N] [--json FILE] [--no-gate]
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { runFailover } from "./failover.ts";
import { runThroughput } from "./throughput.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rate: { type: "string", default: "50000" },
    seconds: { type: "string", default: "10" },
    links: { type: "string", default: "1" },
    kills: { type: "string", default: "20" },
    body: { type: "string", default: "128" },
    pace: { type: "string", default: "2" },
    wal: { type: "string", default: "64" },
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

const report =
  positionals[0] === "failover"
    ? await runFailover({ ...common, rate: Number(values.rate), kills: Number(values.kills) })
    : await runThroughput({ ...common, rate: values.saturated ? null : Number(values.rate) });
console.log(report.table);
if (values.json !== undefined) {
  writeFileSync(values.json, `${JSON.stringify(report.json, null, 2)}\n`);
}
