// Goal: what the documents name exists in the code, and what matters in the code is documented.
import assert from "node:assert/strict";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";
import { rooms } from "./rooms.ts";
import { importsOf, isTest, parse, projectFiles, sourceFiles, textOf } from "./source.ts";

const idPattern = /\b[A-Z]{3}-\d{2}\b/g;

function declaredIds(): ReadonlyMap<string, string> {
  const ids = new Map<string, string>();
  for (const path of projectFiles().filter((file) => file.endsWith("README.md"))) {
    for (const match of textOf(path).matchAll(/^- \*\*([A-Z]{3}-\d{2})\*\*/gm)) {
      const id = match[1] ?? "";
      assert.ok(!ids.has(id), `${id} is declared in ${ids.get(id)} and in ${path}`);
      ids.set(id, path);
    }
  }
  return ids;
}

function idsIn(paths: readonly string[]): ReadonlySet<string> {
  const found = new Set<string>();
  for (const path of paths) {
    for (const match of textOf(path).matchAll(idPattern)) found.add(match[0]);
  }
  return found;
}

function assertedIds(path: string): readonly string[] {
  const asserted = textOf(path).matchAll(/["'`]([A-Z]{3}-\d{2})(?:[:"'`])/g);
  return [...asserted].map((match) => match[1] ?? "");
}

test("documents: every invariant of a README is asserted or checked in code", () => {
  const used = idsIn(sourceFiles().filter((path) => !path.startsWith("test/tidy/")));
  const idle = [...declaredIds()]
    .filter(([id]) => !used.has(id))
    .map(([id, path]) => `${path} ${id}`);
  assert.deepEqual(idle, []);
});

test("documents: every asserted invariant stands in a README", () => {
  const declared = declaredIds();
  assert.ok(declared.size > 0);
  const unknown = sourceFiles()
    .filter((path) => !isTest(path))
    .flatMap((path) => assertedIds(path).map((id) => ({ id, path })))
    .filter(({ id }) => !declared.has(id));
  assert.deepEqual(unknown, []);
});

test("documents: every room has a README", () => {
  const files = new Set(projectFiles());
  const built = rooms.filter((room) =>
    sourceFiles().some((path) => path.startsWith(`${room.path}/`)),
  );
  const bare = built.filter((room) => !files.has(`${room.path}/README.md`));
  assert.deepEqual(
    bare.map((room) => room.path),
    [],
  );
});

test("documents: links of the READMEs lead somewhere", () => {
  const broken: string[] = [];
  for (const path of projectFiles().filter((file) => file.endsWith(".md"))) {
    for (const match of textOf(path).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)) {
      const target = normalize(join(dirname(path), match[1] ?? ""));
      const known = projectFiles().some(
        (file) => file === target || file.startsWith(`${target.replace(/\/$/, "")}/`),
      );
      if (!known) broken.push(`${path}: ${match[1]}`);
    }
  }
  assert.deepEqual(broken, []);
});

const metricPattern = /\btigerchat_[a-z0-9_]+\b/g;

function definedMetrics(): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const path of sourceFiles().filter((file) => file.endsWith("metrics.ts") && !isTest(file))) {
    for (const match of textOf(path).matchAll(/name: "(tigerchat_[a-z0-9_]+)"/g)) {
      names.set(match[1] ?? "", path);
    }
  }
  return names;
}

test("documents: every metric that a dashboard or alert names is defined", () => {
  const defined = definedMetrics();
  const unknown: string[] = [];
  const chart = projectFiles().filter((path) => path.startsWith("charts/"));
  for (const path of chart.filter((file) => /(dashboard|alert|rule)/.test(file))) {
    for (const match of textOf(path).matchAll(metricPattern)) {
      const name = match[0].replace(/_(bucket|sum|count)$/, "");
      if (!defined.has(name) && !defined.has(match[0])) unknown.push(`${path}: ${match[0]}`);
    }
  }
  assert.deepEqual(unknown, []);
});

test("documents: every metric is named in a README, and every named one is defined", () => {
  const defined = definedMetrics();
  const named = new Set<string>();
  for (const path of projectFiles().filter((file) => file.endsWith("README.md"))) {
    for (const match of textOf(path).matchAll(metricPattern)) named.add(match[0]);
  }
  assert.deepEqual(
    [...defined.keys()].filter((name) => !named.has(name)),
    [],
  );
  assert.deepEqual(
    [...named].filter((name) => !defined.has(name)),
    [],
  );
});

/** Files that a script, a chart, an image or a test runner starts. */
function entryPoints(): readonly string[] {
  const starters = projectFiles().filter(
    (path) =>
      path === "package.json" ||
      /^(charts|deploy|\.ci)\//.test(path) ||
      /(run|bundle|build|images|start|shard|process|spawn|launch|install)[a-z-]*\.ts$/.test(path) ||
      /(index\.html|vite\.config\.ts)$/.test(path),
  );
  const named = starters.map((path) => textOf(path)).join("\n");
  const tests = sourceFiles()
    .filter(isTest)
    .map((path) => textOf(path))
    .join("\n");
  return sourceFiles().filter((path) => {
    const started = new RegExp(`/${path.split("/").at(-1)?.replaceAll(".", "\\.")}["\`]`);
    if (isTest(path) && started.test(tests.replaceAll(/^(import|export) .*$/gm, ""))) return true;
    if (/\.(test|fuzz|bench)\.ts$/.test(path) || path.endsWith("vite.config.ts")) return true;
    return named.includes(path) || path === "edge/sdk/js/index.ts" || path === "edge/web/main.tsx";
  });
}

test("documents: no file is dead: each is an entry point or reached from one", () => {
  const all = new Set(sourceFiles());
  const reached = new Set<string>(entryPoints());
  const queue = [...reached];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    for (const name of importsOf(parse(next, textOf(next)))) {
      const target = resolve(next, name);
      if (target !== undefined && all.has(target) && !reached.has(target)) {
        reached.add(target);
        queue.push(target);
      }
    }
  }
  assert.deepEqual(
    [...all].filter((path) => !reached.has(path)),
    [],
  );
});

function resolve(from: string, name: string): string | undefined {
  if (name.startsWith("#")) return name.slice(1);
  if (name.startsWith(".")) return normalize(join(dirname(from), name));
  return name === "@tigerchat/sdk" ? "edge/sdk/js/index.ts" : undefined;
}

test("documents: the read-me lists every npm script, and every one it lists exists", () => {
  const scripts = Object.keys((JSON.parse(textOf("package.json")) as { scripts: object }).scripts);
  const readme = textOf("README.md");
  const named = [...readme.matchAll(/npm (?:run )?([a-z]+(?::[a-z]+)*)/g)].map((match) => match[1]);
  const builtin = new Set(["ci", "install"]);
  assert.deepEqual(
    scripts.filter((name) => !named.includes(name)),
    [],
  );
  assert.deepEqual(
    named.filter((name) => name !== undefined && !scripts.includes(name) && !builtin.has(name)),
    [],
  );
});
