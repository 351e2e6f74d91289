import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { kubernetesDir } from "../paths.ts";
import { binaryPaths, buildArguments, parseGoVersion } from "./binaries.ts";
import { chartPrograms, clusterPrograms, toolsets } from "./versions.ts";

test("build: Go's version is read from what it prints", () => {
  assert.deepEqual(parseGoVersion("go version go1.26.8 linux/amd64\n"), { major: 1, minor: 26 });
  assert.equal(parseGoVersion("command not found"), undefined);
});

test("build: the version is stamped in, else the API server calls itself v0.0.0", () => {
  const kubernetes = toolsets[1];
  const line = buildArguments(kubernetes, "k8s.io/kubernetes/cmd/kubectl", "/out").join(" ");
  assert.match(line, /component-base\/version\.gitVersion=v1\.34\.4 /);
  assert.match(line, /gitMinor=34 /);
  assert.match(line, /-mod=readonly/);
});

test("build: the cache is keyed by version, so that no program outlives a new pin", () => {
  for (const toolset of toolsets) {
    for (const name of Object.keys(toolset.programs)) {
      const path = new Map<string, string>(Object.entries(binaryPaths())).get(name);
      assert.match(path ?? "", new RegExp(`/${toolset.module}-${toolset.version}/${name}$`));
    }
  }
  const used = new Set([...clusterPrograms, ...chartPrograms]);
  assert.equal(used.size, Object.keys(binaryPaths()).length);
});

test("build: each module pins the version that the table names, with sums", () => {
  for (const toolset of toolsets) {
    const dir = join(kubernetesDir, "build", "modules", toolset.module);
    assert.ok(existsSync(join(dir, "go.sum")));
    const required = new RegExp(`^require \\S+ v${toolset.version}$`, "m");
    assert.match(readFileSync(join(dir, "go.mod"), "utf8"), required);
  }
});
