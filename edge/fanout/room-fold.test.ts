// Entries one by one against the whole history looked at anew: nothing is forgotten or doubled.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { seqFrom, timestampFrom } from "#replica/base/brands.ts";
import { utf8From } from "#replica/base/text.ts";
import type { Entry, EntryType } from "#replica/wire/entry.ts";
import { encodeMember, encodeSanction } from "#replica/wire/entry-body.ts";
import { RoomFold } from "./room-fold.ts";

function entryOf(seq: number, type: EntryType, parent: number, from: string, body: string): Entry {
  return {
    type,
    redacted: false,
    epoch: 1,
    seq: seqFrom(seq),
    timeUs: timestampFrom(seq),
    sender: from,
    key: new Uint8Array(16),
    parent: seqFrom(parent),
    salt: new Uint8Array(16),
    body: utf8From(body),
  };
}

const step = fc.record({
  type: fc.constantFrom<EntryType>("message", "edit", "redact", "react", "unreact", "marker"),
  parent: fc.integer({ min: 1, max: 12 }),
  sender: fc.constantFrom("ann", "bob"),
  body: fc.constantFrom("+1", "-1"),
});

test("fold: edits, redactions and reactions are those of the whole history", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const log = steps.map(({ type, parent, sender, body }, index) =>
        entryOf(index + 1, type, parent, sender, body),
      );
      const fold = new RoomFold(1);
      for (const entry of log) fold.apply(entry);
      assert.equal(fold.at, log.length);
      const of = (type: EntryType) => log.filter((entry) => entry.type === type);
      const redacted = new Set(of("redact").map(({ parent }) => Number(parent)));
      for (let message = 1; message <= 12; message += 1) {
        const edits = of("edit").filter(({ parent, seq }) => {
          return parent === message && !redacted.has(seq);
        });
        assert.equal(fold.editOf(message), edits.at(-1)?.seq ?? null);
        assert.equal(fold.redacted.has(message), redacted.has(message));
        for (const reaction of ["+1", "-1"]) {
          const users = fold.reactions.get(message)?.get(reaction) ?? new Set();
          for (const user of ["ann", "bob"]) {
            const last = log.findLast(({ type, parent, sender, body }) => {
              const about = parent === message && sender === user;
              const text = Buffer.from(body).toString() === reaction;
              return about && text && (type === "react" || type === "unreact");
            });
            assert.equal(users.has(user), last?.type === "react");
          }
        }
      }
    }),
    { numRuns: 200 },
  );
});

test("fold: roles and sanctions are the last given; none and lifted ones are gone", () => {
  const fold = new RoomFold(1);
  const rule = (seq: number, type: EntryType, body: Uint8Array): void => {
    fold.apply({ ...entryOf(seq, type, 0, "olga", ""), body });
  };
  rule(1, "member", encodeMember({ user: "ann", role: "member" }));
  rule(2, "member", encodeMember({ user: "ann", role: "owner" }));
  rule(3, "member", encodeMember({ user: "bob", role: "reader" }));
  rule(4, "member", encodeMember({ user: "bob", role: "none" }));
  rule(5, "ban", encodeSanction({ user: "eve", until: 9 }));
  rule(6, "mute", encodeSanction({ user: "eve", until: 9 }));
  rule(7, "mute", encodeSanction({ user: "eve", until: 0 }));
  assert.deepEqual([...fold.members], [["ann", { role: "owner", seq: 2 }]]);
  assert.deepEqual([[...fold.bans], [...fold.mutes]], [[["eve", 9]], []]);
});
