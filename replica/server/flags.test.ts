// The command line: what is accepted, and the sentences of refusals.
import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { parseFlags, usage } from "./flags.ts";

function sentenceOf(...argv: readonly string[]): string {
  const parsed = parseFlags(argv);
  return parsed.ok ? "accepted" : parsed.sentence;
}

test("server: flags are read, and the state directory gets the last sentence by default", () => {
  const argv = ["--config", "c.json", "--replica", "2", "--data", "d", "--state", "/s"];
  const parsed = parseFlags(argv);
  const value = {
    config: "c.json",
    replica: 2,
    data: "d",
    state: "/s",
    terminationLog: "/s/termination-log",
  };
  deepStrictEqual(parsed, { ok: true, value });
});

test("server: a wrong command line is one sentence and the usage", () => {
  const rest = ["--config", "c", "--data", "d"];
  strictEqual(sentenceOf("--colour", "red"), `There is no option --colour. ${usage}`);
  strictEqual(sentenceOf("--config"), `--config needs a value. ${usage}`);
  strictEqual(sentenceOf(...rest), `--replica must be 0, 1 or 2. ${usage}`);
  strictEqual(sentenceOf(...rest, "--replica", "3"), `--replica must be 0, 1 or 2. ${usage}`);
  strictEqual(sentenceOf("--replica", "0", "--data", "d"), `--config is missing. ${usage}`);
});
