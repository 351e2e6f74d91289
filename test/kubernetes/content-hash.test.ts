import assert from "node:assert/strict";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { contentHash } from "./content-hash.ts";

test("content hash: changes with a byte, a name, a text; not with the folder's place", async () => {
  const dir = await mkdtemp(join(tmpdir(), "tigerchat-hash-"));
  try {
    const place = join(dir, "one");
    await mkdir(join(place, "sub"), { recursive: true });
    await writeFile(join(place, "sub", "file"), "x");
    const first = await contentHash(["t"], place, ["sub"]);
    assert.notEqual(await contentHash(["u"], place, ["sub"]), first);
    await rename(place, join(dir, "two"));
    assert.equal(await contentHash(["t"], join(dir, "two"), ["sub"]), first);
    await writeFile(join(dir, "two", "sub", "file"), "y");
    assert.notEqual(await contentHash(["t"], join(dir, "two"), ["sub"]), first);
    await rename(join(dir, "two", "sub", "file"), join(dir, "two", "sub", "other"));
    await writeFile(join(dir, "two", "sub", "other"), "x");
    assert.notEqual(await contentHash(["t"], join(dir, "two"), ["sub"]), first);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
