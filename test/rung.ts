// Runs the tests of one folder under the counting reporter, one file at a time:
// `node deploy/node.mjs test/rung.ts test/browser`. Fails when nothing ran or anything was skipped.
import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";
import { rootFolder } from "./tidy/source.ts";

const testLimitMs = 600_000;

const folders = process.argv.slice(2);
const files = folders.flatMap((folder) => globSync(`${folder}/**/*.test.ts`, { cwd: rootFolder }));
if (files.length === 0) {
  console.error(`There is no *.test.ts in ${folders.join(", ") || "(no folder named)"}.`);
  process.exit(1);
}
const reporter = [`--test-reporter=${join(rootFolder, "test/support/reporter.ts")}`];
const pace = ["--test-concurrency=1", `--test-timeout=${testLimitMs}`];
const child = spawn(process.execPath, ["--test", ...pace, ...reporter, ...files.sort()], {
  cwd: rootFolder,
  stdio: "inherit",
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
child.on("exit", (code) => process.exit(code ?? 1));
