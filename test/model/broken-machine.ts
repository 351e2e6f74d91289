// Loads the machine with one deliberate fault. It is put into the source as it is loaded, under an
// address of its own; the files stay as they are.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { registerHooks, stripTypeScriptTypes } from "node:module";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { history } from "./histories.ts";
import { mutants } from "./mutants.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const copiedRooms = /\/(replica\/(machine|wire|snapshot)|test\/(model|support))\//;
const tag = "?mutant=";
const loaded = new Map<number, number>();

registerHooks({
  resolve(specifier, context, nextResolve) {
    const resolved = nextResolve(specifier, context);
    const at = context.parentURL?.indexOf(tag) ?? -1;
    if (at < 0 || !copiedRooms.test(resolved.url) || resolved.url.includes(tag)) return resolved;
    return { ...resolved, url: resolved.url + (context.parentURL ?? "").slice(at) };
  },
  load(url, context, nextLoad) {
    const at = url.indexOf(tag);
    if (at < 0) return nextLoad(url, context);
    const number = Number(url.slice(at + tag.length));
    const path = fileURLToPath(url.slice(0, at));
    const edits = mutants[number]?.edits.filter(({ file }) => root + file === path) ?? [];
    if (edits.length === 0) return nextLoad(url.slice(0, at), context);
    let source = readFileSync(path, "utf8");
    for (const { from, to } of edits) {
      assert.equal(source.split(from).length, 2, `${path}: "${from}" occurs once`);
      source = source.replace(from, () => to);
    }
    loaded.set(number, (loaded.get(number) ?? 0) + edits.length);
    return { format: "module", source: stripTypeScriptTypes(source), shortCircuit: true };
  },
});

/** Histories until the fault is found, or null after `runsMax` without finding it. */
export async function runsUntilFound(number: number, runsMax: number): Promise<number | null> {
  const { play } = (await import(`./play.ts${tag}${number}`)) as typeof import("./play.ts");
  const found = fc.check(
    fc.property(history, (events) => play(events, new Map())),
    { numRuns: runsMax, seed: 20_260_101, endOnFailure: true },
  );
  assert.equal(loaded.get(number), mutants[number]?.edits.length, "the fault is in place");
  return found.failed ? found.numRuns : null;
}
