// Runs the rungs of `npm test` in order, prints each rung's time, ends with the plain count line.
import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";
import { refuse } from "./support/tool-flags.ts";
import { rootFolder } from "./tidy/source.ts";

interface Rung {
  readonly name: string;
  readonly limitMs: number;
  readonly command: readonly string[];
}

const node = process.execPath;
const tool = (path: string): string => join(rootFolder, "node_modules", path);
const reporter = [`--test-reporter=${join(rootFolder, "test/support/reporter.ts")}`];

function nodeTests(globs: readonly string[]): readonly string[] {
  const files = globs.flatMap((glob) => globSync(glob, { cwd: rootFolder })).sort();
  const own = files.filter((path) => !path.includes("node_modules"));
  // Options in one word: a test that starts processes with its own options passes them on whole.
  return [node, "--test", "--test-concurrency=2", "--test-timeout=120000", ...reporter, ...own];
}

const check: readonly Rung[] = [
  { name: "types", limitMs: 120_000, command: [node, tool("typescript/bin/tsc"), "-b"] },
  {
    name: "lint",
    limitMs: 60_000,
    command: [node, tool("@biomejs/biome/bin/biome"), "ci", "--colors=off", "."],
  },
  { name: "tidy", limitMs: 120_000, command: nodeTests(["test/tidy/**/*.test.ts"]) },
];

const unit: readonly Rung[] = [
  {
    name: "unit",
    limitMs: 240_000,
    command: nodeTests([
      "{replica,operator,edge,deploy}/**/*.test.ts",
      "{replica,operator,edge}/**/*.fuzz.ts",
      "test/{sim,model,support,bench}/**/*.test.ts",
      "test/kubernetes/{*,build/*,process/*,nodes/*}.test.ts",
    ]),
  },
  {
    name: "simulation",
    limitMs: 120_000,
    command: [node, join(rootFolder, "test/sim/main.ts"), "--runs", "150"],
  },
];

interface Outcome {
  readonly ok: boolean;
  readonly passed: number;
  readonly failed: number;
}

function runRung(rung: Rung): Promise<Outcome> {
  return new Promise((resolve) => {
    const [file, ...args] = rung.command;
    const env = { ...process.env, NODE_OPTIONS: "", CI: process.env["CI"] ?? "" };
    const child = spawn(file ?? node, args, {
      cwd: rootFolder,
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-200_000);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    const timer = setTimeout(() => {
      output += `\n${rung.name} took longer than ${rung.limitMs} ms and was ended\n`;
      child.kill("SIGKILL");
    }, rung.limitMs);
    child.on("close", (code) => {
      clearTimeout(timer);
      const counts = /(\d+) passed, (\d+) failed, (\d+) skipped/.exec(output);
      const passed = counts === null ? Number(code === 0) : Number(counts[1]);
      const failed = counts === null ? Number(code !== 0) : Number(counts[2]);
      if (code !== 0) process.stdout.write(output);
      resolve({ ok: code === 0, passed, failed: code === 0 ? failed : Math.max(1, failed) });
    });
  });
}

async function main(): Promise<void> {
  const [which, ...more] = process.argv.slice(2);
  const known = which === undefined || which === "check";
  if (!known || more.length > 0) refuse("npm test and npm run check take no options.");
  const rungs = which === "check" ? check : [...check, ...unit];
  const total = { passed: 0, failed: 0 };
  for (const rung of rungs) {
    const startMs = performance.now();
    const outcome = await runRung(rung);
    total.passed += outcome.passed;
    total.failed += outcome.failed;
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    const verdict = outcome.ok ? "ok" : "FAILED";
    const facts = `${verdict.padEnd(7)} ${seconds.padStart(6)} s  ${outcome.passed} passed`;
    console.log(`${rung.name.padEnd(12)} ${facts}`);
  }
  console.log(`${total.passed} passed, ${total.failed} failed`);
  process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;
}

await main();
