// Goal: the house's writing rules hold in every file, and each rule has a text that breaks it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { houseFaults } from "./bans.ts";
import { sizeFaults } from "./sizes.ts";
import { isTest, projectFiles, sourceFiles, textOf } from "./source.ts";

test("house: functions, lines and files keep their maxima", () => {
  const faults = sourceFiles().flatMap((path) => sizeFaults(path, textOf(path)));
  assert.deepEqual(faults, []);
});

test("canary: a long function, a wide line and a long file are named", () => {
  const long = `export function f(): void {\n${"  void 0;\n".repeat(70)}}\n`;
  assert.match(sizeFaults("x.ts", long).join(), /x\.ts:1: function of 72 lines/);
  assert.match(sizeFaults("x.ts", `const a = "${"x".repeat(100)}";\n`).join(), /columns/);
  assert.match(sizeFaults("x.ts", "\n".repeat(501)).join(), /501 lines/);
});

test("house: no any, no non-null assertion, no default export, no skipped test, no marker", () => {
  const allowed = (path: string) =>
    /(vite\.config\.ts|\.d\.ts)$/.test(path) ||
    ["test/tidy/house.test.ts", "test/support/reporter.ts"].includes(path);
  const faults = sourceFiles()
    .filter((path) => !allowed(path) && path !== "test/tidy/bans.ts")
    .flatMap((path) => houseFaults(path, textOf(path)));
  assert.deepEqual(faults, []);
});

test("canary: each banned construct is found", () => {
  const text = [
    "const a: any = b!;",
    "export default function f() {}",
    "test.skip('x', () => {});",
    "// TODO later",
  ].join("\n");
  const faults = houseFaults("x.ts", text).join("\n");
  for (const what of ["any", "non-null", "default export", "test.skip", "TODO"]) {
    assert.match(faults, new RegExp(what));
  }
});

test("house: file names are kebab-case", () => {
  const odd = sourceFiles().filter((path) => !/^[a-z0-9./-]+$/.test(path));
  assert.deepEqual(odd, []);
});

test("house: the top level holds only what the design names", () => {
  const named = new Set([
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "replica",
    "operator",
    "edge",
    "deploy",
    "charts",
    "test",
    "README.md",
    "LICENSE",
  ]);
  const tops = new Set(projectFiles().map((path) => path.split("/")[0] ?? ""));
  const strays = [...tops].filter((name) => !named.has(name) && !name.startsWith("."));
  assert.deepEqual(strays, []);
});

test("house: prose and code name no path of a workplace and hold no emoji", () => {
  const texts = projectFiles().filter((path) =>
    /\.(tsx?|md|ya?ml|json|mjs|sh|css|html|go)$/.test(path),
  );
  const faults = texts.filter((path) => {
    if (path === "package-lock.json" || path.startsWith("test/tidy/")) return false;
    const text = textOf(path);
    const foreign = /\/work\/(main|plan|shared)|\b(vsr|performance|toolchain|aesthetics)\.md\b/;
    return foreign.test(text) || /\p{Emoji_Presentation}/u.test(text);
  });
  assert.deepEqual(faults, []);
});

test("house: every export of production has a doc comment", () => {
  const faults: string[] = [];
  for (const path of sourceFiles().filter((file) => !isTest(file))) {
    const lines = textOf(path).split("\n");
    for (const [index, line] of lines.entries()) {
      if (!/^export (async )?(function|class|interface|type|const|abstract class)\b/.test(line))
        continue;
      const above = (lines[index - 1] ?? "").trim();
      if (!above.endsWith("*/")) faults.push(`${path}:${index + 1}: ${line.slice(0, 60)}`);
    }
  }
  assert.deepEqual(faults, []);
});
