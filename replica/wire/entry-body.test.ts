// Bodies that the machine reads have one spelling; hostile ones are null and never throw.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { seqFrom, timestampFrom } from "#replica/base/brands.ts";
import { textFromUtf8, utf8From } from "#replica/base/text.ts";
import type { Entry } from "./entry.ts";
import { encodeEntry, redactEntry } from "./entry.ts";
import { decodeMember, decodeSanction, decodeSettings, encodeMember } from "./entry-body.ts";
import { encodeSanction, encodeSettings, isReaction, roles, untilForever } from "./entry-body.ts";
import { resultSentences } from "./result-sentences.ts";
import { threadName, threadOf } from "./room-names.ts";
import { isVisible, viewItems } from "./visibility.ts";

test("entry body: golden texts", () => {
  const text = (bytes: Uint8Array) => textFromUtf8(bytes);
  assert.equal(text(encodeMember({ user: "bob", role: "owner" })), '{"user":"bob","role":"owner"}');
  assert.equal(text(encodeSanction({ user: "é", until: 0 })), '{"user":"é","until":0}');
  const settings = { closed: true, readonly: false, fromJoin: true, privateMarkers: false };
  const golden = '{"closed":true,"readonly":false,"fromJoin":true,"privateMarkers":false}';
  assert.equal(text(encodeSettings(settings)), golden);
  assert.deepEqual(decodeSettings(utf8From(golden)), settings);
});

test("entry body: what is written is read, and nothing else is", () => {
  const user = fc.string({ minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(user, fc.constantFrom(...roles), fc.maxSafeNat(), (name, role, until) => {
      assert.deepEqual(decodeMember(encodeMember({ user: name, role })), { user: name, role });
      const sanction = { user: name, until };
      assert.deepEqual(decodeSanction(encodeSanction(sanction)), sanction);
    }),
  );
  for (const wrong of [
    '{"role":"owner","user":"bob"}',
    '{"user": "bob","role":"owner"}',
    '{"user":"bob","role":"king"}',
    '{"user":"","role":"owner"}',
    '{"user":"bob","role":"owner","x":1}',
    '{"user":"bob","user":"eve","role":"owner"}',
    '{"user":"\\u0062ob","role":"owner"}',
    `{"user":"${"x".repeat(129)}","role":"owner"}`,
    "null",
    "[]",
    "",
  ]) {
    assert.equal(decodeMember(utf8From(wrong)), null, wrong);
  }
  for (const until of ["1.5", "-1", "1e3", '"1"', `${untilForever + 1}`]) {
    assert.equal(decodeSanction(utf8From(`{"user":"bob","until":${until}}`)), null, until);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      const member = decodeMember(bytes);
      if (member !== null) assert.deepEqual(encodeMember(member), bytes);
      assert.equal(isReaction(bytes), bytes.length > 0 && textFromUtf8(bytes) !== null);
    }),
    { numRuns: 1000 },
  );
});

test("room names: a thread's name leads back to room and root, other names do not", () => {
  assert.equal(threadName("lobby", 17), "lobby/17");
  assert.deepEqual(threadOf("lobby/17"), { room: "lobby", root: 17 });
  for (const name of ["lobby", "/1", "lobby/", "lobby/0", "lobby/01", "lobby/1/2", "a/1e3"]) {
    assert.equal(threadOf(name), null, name);
  }
});

const entry: Entry = {
  type: "ban",
  redacted: false,
  epoch: 1,
  seq: seqFrom(5),
  timeUs: timestampFrom(1),
  sender: "mod",
  key: new Uint8Array(16),
  parent: seqFrom(0),
  salt: new Uint8Array(16),
  body: encodeSanction({ user: "bob", until: 9 }),
};

test("visibility: staff, sender and the banned user see a ban; others get a skip", () => {
  const bytes = encodeEntry({ ...entry, visibility: "staff" });
  const sees = (user: string, staff = false) => isVisible(bytes, { user, staff, fromSeq: 0 });
  assert.deepEqual(
    [sees("mod"), sees("bob"), sees("eve"), sees("eve", true)],
    [true, true, false, true],
  );
  const own = encodeEntry({ ...entry, visibility: "own" });
  assert.equal(isVisible(own, { user: "bob", staff: true, fromSeq: 0 }), false);
  assert.equal(isVisible(own, { user: "mod", staff: false, fromSeq: 6 }), false);
  const log = [4, 5, 6, 7].map((seq) => {
    const hidden = seq === 5 || seq === 6;
    const about = { ...entry, type: "message" as const, seq: seqFrom(seq) };
    return encodeEntry(hidden ? { ...about, visibility: "own" } : about);
  });
  const items = viewItems(log, { user: "eve", staff: false, fromSeq: 0 });
  assert.deepEqual(
    items.map((item) => (item.kind === "skip" ? item.to : -item.seq)),
    [-4, 6, -7],
  );
});

test("entry: a redaction keeps head, visibility and authority, and takes salt and body", () => {
  const whole = encodeEntry({ ...entry, visibility: "staff", authority: true });
  const redacted = redactEntry(whole, () => new Uint8Array(32).fill(9));
  const expected = { ...entry, visibility: "staff" as const, authority: true as const };
  const body = new Uint8Array(32).fill(9);
  assert.deepEqual(
    redacted,
    encodeEntry({ ...expected, redacted: true, salt: new Uint8Array(0), body }),
  );
});

test("results: every answer has a sentence", () => {
  for (const sentence of Object.values(resultSentences)) assert.match(sentence, /^[A-Z].+\.$/);
});
