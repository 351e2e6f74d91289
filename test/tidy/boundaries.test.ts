// Goal: the import table of rooms.ts holds, and each of the four locks bites when it is broken.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, normalize } from "node:path";
import { test } from "node:test";
import { purityFaults } from "./bans.ts";
import { rooms } from "./rooms.ts";
import { isTest, projectFiles, rootFolder, sourceFiles, textOf } from "./source.ts";

const fixtures = join(rootFolder, "test/tidy/fixtures");

function run(folder: string, script: string, args: readonly string[]): string {
  const path = join(rootFolder, "node_modules", script);
  const done = spawnSync(process.execPath, [path, ...args], { cwd: folder, encoding: "utf8" });
  return `exit ${done.status}\n${done.stdout}${done.stderr}`;
}

const cruiser = "dependency-cruiser/bin/dependency-cruiser.mjs";
const compiler = "typescript/bin/tsc";
const cruiserConfig = ["--config", join(rootFolder, ".dependency-cruiser.mjs")];

test("boundaries: every import of the project is in the table", () => {
  const tops = ["replica", "operator", "edge", "deploy", "test"];
  const output = run(rootFolder, cruiser, [...cruiserConfig, ...tops]);
  assert.match(output, /^exit 0\n/, output);
  const cruised = Number(/\((\d+) modules/.exec(output)?.[1] ?? 0);
  assert.ok(cruised > 50, `only ${cruised} modules were read`);
});

test("canary: the cruiser fails on an upward type import, a package, a door and a test", () => {
  const output = run(join(fixtures, "boundary"), cruiser, [...cruiserConfig, "replica", "test"]);
  assert.match(output, /^exit [1-9]/, output);
  assert.match(output, /room replica\/base: replica\/base\/upward\.ts/);
  assert.match(output, /packages of replica\/vsr/);
  assert.match(output, /doors to node:crypto/);
  assert.match(output, /nobody imports tests/);
});

test("canary: a pure room's project refuses ambient types", () => {
  const output = run(rootFolder, compiler, ["-p", join(fixtures, "types")]);
  assert.match(output, /ambient\.ts.*TS2\d+.*'process'/);
});

test("canary: a project refuses a file that it does not reference", () => {
  const output = run(rootFolder, compiler, ["-p", join(fixtures, "references")]);
  assert.match(output, /TS6307/);
});

test("canary: the SDK cannot reach the rooms through package imports", () => {
  const inside = createRequire(join(rootFolder, "edge/sdk/js/index.ts"));
  assert.throws(() => inside.resolve("#replica/base/assert.ts"), {
    code: /ERR_PACKAGE_IMPORT_NOT_DEFINED|MODULE_NOT_FOUND/,
  });
});

test("canary: the purity check sees async, Date, destructured Math and locale order", () => {
  const faults = purityFaults("x.ts", readFileSync(join(fixtures, "impure.ts.txt"), "utf8"));
  const found = faults.map((fault) => fault.replace(/^.*: /, ""));
  for (const what of ["async", "Date", "Promise", "localeCompare"]) {
    assert.ok(found.includes(what), `${what} not found in ${found}`);
  }
  assert.ok(found.some((what) => what.startsWith("Math")));
});

test("boundaries: pure rooms have no clock, chance, async or locale", () => {
  const pureRooms = rooms.filter((room) => room.pure);
  const faults = sourceFiles()
    .filter((path) => !isTest(path) && pureRooms.some((room) => path.startsWith(`${room.path}/`)))
    .flatMap((path) => purityFaults(path, textOf(path)));
  assert.deepEqual(faults, []);
});

test("boundaries: a room's project references rooms of its table; pure means no types", () => {
  for (const path of projectFiles().filter((file) =>
    /^(replica|operator|edge)\/.*tsconfig\.json$/.test(file),
  )) {
    const folder = path.slice(0, -"/tsconfig.json".length);
    const room = rooms.find((candidate) => candidate.path === folder);
    assert.ok(room !== undefined, `${folder} is not in test/tidy/rooms.ts`);
    const config = JSON.parse(textOf(path)) as {
      compilerOptions: { types?: string[] };
      references?: { path: string }[];
    };
    if (room.pure) assert.deepEqual(config.compilerOptions.types, [], `${path}: types`);
    for (const reference of config.references ?? []) {
      const target = normalize(join(folder, reference.path));
      assert.ok(room.imports.includes(target), `${path} references ${target}`);
    }
  }
});

test("boundaries: every folder with code is a room of the table", () => {
  const known = rooms.map((room) => `${room.path}/`);
  const strays = sourceFiles().filter(
    (path) => !path.startsWith("test/") && !known.some((prefix) => path.startsWith(prefix)),
  );
  assert.deepEqual(strays, []);
});
