// Goal: any command line is options within their bounds, or a text and an exit code.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { edgesMax, parseOptions, shardsMax } from "./options.ts";

const flags = ["shards", "edges", "data", "port", "manifest", "replace", "json", "help"];
const word = fc.oneof(
  fc.constantFrom(...flags.map((flag) => `--${flag}`)),
  fc.constantFrom("-h", "--", "-", "--no-json", "--port=0", "--data=", "--__proto__", "help"),
  fc.constantFrom("0", "1", "8", "9", "65536", "-1", "1e3", "lobby-1", "lobby-9", ""),
  fc.string(),
);

function judge(args: readonly string[]): string | null {
  const parsed = parseOptions(args, "m.yaml");
  if (!("options" in parsed)) {
    assert.ok(parsed.exitCode === 0 || parsed.exitCode === 1);
    assert.ok(parsed.text.length > 0 && !parsed.text.includes("    at "), args.join(" "));
    return parsed.text;
  }
  const { shards, edges, data, port, manifest, replace, json } = parsed.options;
  assert.ok(shards === null || (Number.isInteger(shards) && shards >= 1 && shards <= shardsMax));
  assert.ok(Number.isInteger(edges) && edges >= 1 && edges <= edgesMax);
  assert.ok(Number.isInteger(port) && port >= 0 && port <= 65_535);
  assert.ok(data !== "" && manifest !== "" && typeof json === "boolean");
  assert.ok(replace === null || /-[0-2]$/.test(replace));
  return null;
}

test("local: options: fuzz: any command line is options or a text", () => {
  assert.equal(judge(["--shards", "2", "--port", "0", "--json", "--replace", "lobby-1"]), null);
  fc.assert(
    fc.property(fc.array(word, { maxLength: 6 }), (args) => {
      judge(args);
    }),
    { numRuns: 1_500, interruptAfterTimeLimit: 900 },
  );
});

test("local: options: an empty path or a name that no replica has is refused", () => {
  for (const args of [
    ["--data", ""],
    ["--manifest="],
    ["--replace", "../x"],
    ["--replace", "a-3"],
  ]) {
    assert.match(judge(args) ?? "", /Give a (path|replica's name)/, args.join(" "));
  }
});
