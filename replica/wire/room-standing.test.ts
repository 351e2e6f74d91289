// What a replica says of a user comes through as it was, and nothing else passes for it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8From } from "#replica/base/text.ts";
import { decodeStanding, encodeStanding } from "./room-standing.ts";

const standing = {
  role: "moderator",
  bannedUntilUs: 0,
  mutedUntilUs: 1790000000000000,
  marker: 7,
  mayRead: true,
  staff: true,
  fromSeq: 3,
} as const;

test("wire: a standing comes back as it was", () => {
  assert.deepEqual(decodeStanding(encodeStanding(standing)), standing);
});

test("wire: what is no standing is refused", () => {
  const text = (change: object) => utf8From(JSON.stringify({ ...standing, ...change }));
  for (const change of [
    { role: "king" },
    { marker: -1 },
    { fromSeq: 0.5 },
    { mayRead: 1 },
    { staff: undefined },
    { bannedUntilUs: "0" },
  ]) {
    assert.equal(decodeStanding(text(change)), null, JSON.stringify(change));
  }
  for (const bytes of [utf8From("null"), utf8From("{"), Uint8Array.of(0xff)]) {
    assert.equal(decodeStanding(bytes), null);
  }
});
