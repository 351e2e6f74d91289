import assert from "node:assert/strict";
import { test } from "node:test";
import { SplitMap } from "./split-map.ts";

test("split map: holds what was set last, and lets the oldest of a part go", () => {
  const map = new SplitMap<string>();
  // Rooms of one part are 256 apart.
  for (const room of [7, 263, 519, 8]) map.setNewest(room, `a${room}`);
  map.setNewest(7, "b7");
  assert.equal(map.size, 4);
  assert.equal(map.get(7), "b7");
  map.letGo(7, () => false);
  assert.equal(map.size, 4, "it may not go");
  map.letGo(7, (room) => room === 263);
  assert.deepEqual([map.size, map.get(263)], [3, undefined]);
  map.letGo(8, () => true);
  assert.equal(map.get(8), "a8", "it is the only one of its part");
  assert.deepEqual([...map.keys()].sort(), [519, 7, 8]);
});
