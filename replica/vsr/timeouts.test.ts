import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Deadlines, type TimerName } from "./timeouts.ts";

const names: readonly TimerName[] = ["heartbeat", "suspect", "ping", "batch"];

test("deadlines: the remembered earliest one is the earliest of all, whatever moves", () => {
  const step = fc.record({
    name: fc.constantFrom(...names),
    atMs: fc.integer({ min: 1, max: 20 }),
    kind: fc.constantFrom("set", "clear", "due"),
  });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const deadlines = new Deadlines();
      const model = new Map<TimerName, number>();
      for (const { name, atMs, kind } of steps) {
        if (kind === "set") {
          deadlines.set(name, atMs);
          model.set(name, atMs);
        } else if (kind === "clear") {
          deadlines.clear(name);
          model.delete(name);
        } else {
          const due = deadlines.due(atMs);
          const wanted = names.find((one) => (model.get(one) ?? Infinity) <= atMs) ?? null;
          assert.equal(due, wanted);
          if (due !== null) model.delete(due);
        }
        if (atMs % 3 > 0) assert.equal(deadlines.nextMs, Math.min(...model.values()));
      }
    }),
  );
});
