// Developers' tools answer wrong flags with one sentence and code 2.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { rootFolder } from "#test/tidy/source.ts";

const cases: readonly (readonly [file: string, args: readonly string[], said: RegExp])[] = [
  ["test/sim/main.ts", ["--nonsense"], /^Unknown option '--nonsense'. Options: --seed, .*\n$/],
  ["test/sim/main.ts", ["--seed", "x"], /^--seed is "x": give a whole number from 0 on\.\n$/],
  ["test/sim/release.ts", ["--runs", "0"], /^--runs is "0": give a whole number from 1 on\.\n$/],
  ["test/sim/canaries-main.ts", ["robin"], /^There is no canary robin, but .*\n$/],
  ["test/bench/main.ts", ["fast"], /^Name one of failover, .*\n$/],
  ["test/bench/main.ts", ["--rate", ""], /^--rate is "": give a whole number from 1 on\.\n$/],
  [
    "test/model/mutants-main.ts",
    ["-1"],
    /^A fault is "-1": give a whole number from 0 to \d+\.\n$/,
  ],
  ["test/run.ts", ["--help"], /^npm test and npm run check take no options\.\n$/],
];

test("tools: a wrong flag is answered with a sentence", () => {
  for (const [file, args, said] of cases) {
    const words = [...process.execArgv, join(rootFolder, file), ...args];
    const ended = spawnSync(process.execPath, words, { encoding: "utf8", timeout: 30_000 });
    assert.match(ended.stderr, said, file);
    assert.equal(ended.status, 2, file);
    assert.equal(ended.stdout, "", file);
  }
});
