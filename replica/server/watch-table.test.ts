// Who watches what, and when nobody does any more.
import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { WatchTable } from "./watch-table.ts";

const alpha = { tenant: "", room: "alpha" };
const beta = { tenant: "", room: "beta" };

test("server: the first watcher of a room is told apart, watching twice counts once", () => {
  const table = new WatchTable();
  strictEqual(table.add(1, alpha), "first");
  strictEqual(table.add(1, alpha), "more");
  strictEqual(table.add(2, alpha), "more");
  strictEqual(table.count, 2);
  deepStrictEqual([...table.watchers(alpha)], [1, 2]);
  strictEqual(table.remove(1, alpha), false);
  strictEqual(table.remove(1, alpha), false);
  strictEqual(table.remove(2, alpha), true);
  deepStrictEqual([...table.watchers(alpha)], []);
});

test("server: a connection that goes leaves only what others watch", () => {
  const table = new WatchTable();
  table.add(1, alpha);
  table.add(1, beta);
  table.add(2, beta);
  deepStrictEqual(table.removeConnection(1), [alpha]);
  strictEqual(table.count, 1);
  deepStrictEqual(table.removeConnection(1), []);
});
