// Goal: the storage class that a simulation runs is the production one, so nothing that it reaches
// may know Node, a clock or chance. Method: walk its imports.
import { ok } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const root = new URL("../../", import.meta.url).pathname;
const entries = ["open-storage.ts", "format-storage.ts", "replica-storage.ts"];
const banned = /\b(Date|Math\.random|setTimeout|setImmediate|process|Promise|async|await)\b/;

function importsOf(text: string): readonly string[] {
  const values = text.matchAll(/^import (?!type)[^;]*? from "([^"]+)";/gms);
  return [...values].map((match) => match[1] ?? "");
}

function code(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/\/\/.*|"[^"]*"/g, "");
}

test("storage: what the simulator runs reaches nothing of Node, no clock and no chance", () => {
  const queue = entries.map((name) => `replica/storage/${name}`);
  const seen = new Set(queue);
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    const text = readFileSync(join(root, path), "utf8");
    const found = banned.exec(code(text));
    ok(found === null, `${path} uses ${found?.[0]}`);
    for (const name of importsOf(text)) {
      ok(/^(#replica|\.\/)/.test(name), `${path} imports ${name}`);
      const next = name.startsWith("#") ? name.slice(1) : join(path, "..", name);
      if (!seen.has(next)) queue.push(next);
      seen.add(next);
    }
  }
  ok(seen.size > 20, `${seen.size} files`);
  ok(!seen.has("replica/storage/file-disk.ts"));
});
