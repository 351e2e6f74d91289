// Goal: checkpoints reach everybody who follows a room, seldom enough to cost nothing. Method: a
// fan-out on virtual time whose shard signs a new note each second.
import assert from "node:assert/strict";
import { test } from "node:test";
import { seqFrom } from "#replica/base/brands.ts";
import { Prng } from "#replica/base/prng.ts";
import { checkpointPauseMs, pushedCheckpoint } from "./checkpoints.ts";
import { Fanout } from "./fanout.ts";
import { socketEncoding, sseEncoding } from "./frame-encoding.ts";
import { Outbox } from "./outbox.ts";

const name = { tenant: "", room: "lobby" };
const root = `${"A".repeat(43)}=`;

function noteOf(size: number): string {
  return `tigerchat.dev/00/lobby/1\n${size}\n${root}\n\n\u2014 log AAAA\n`;
}

/** One room on virtual time: steps of 50 ms. */
class Stage {
  readonly fanout = new Fanout(10);
  /** Times at which the shard was asked. */
  readonly asked: number[] = [];
  signs = true;
  head = 0;
  nowMs = 0;

  join(encoding = socketEncoding): Outbox {
    const outbox = new Outbox(encoding, this.nowMs);
    const request = { outbox, id: "1", name, user: null, since: null, tail: 0 };
    this.fanout.subscribe(request, this.nowMs);
    this.serve();
    outbox.take(1e9, this.nowMs);
    return outbox;
  }

  post(chars = 1): void {
    this.head += 1;
    const members = `"seq":${this.head},"body":"${"x".repeat(chars)}"`;
    const entry = { seq: this.head, members, mark: null };
    this.fanout.entries(name, [entry], this.nowMs);
  }

  /** `readers` read all that comes; what came of checkpoints. */
  run(untilMs: number, readers: readonly Outbox[], act: () => void = () => undefined) {
    const sizes: number[][] = readers.map(() => []);
    for (; this.nowMs < untilMs; this.nowMs += 50) {
      act();
      this.fanout.tick(this.nowMs);
      this.serve();
      for (const [index, reader] of readers.entries()) {
        const text = Buffer.concat(reader.take(1e9, this.nowMs)).toString("latin1");
        for (const [, size] of text.matchAll(/"op":"ckpt","rid":1,"size":([0-9]+)/g)) {
          sizes[index]?.push(Number(size));
        }
      }
    }
    return sizes;
  }

  private serve(): void {
    for (const effect of this.fanout.drain()) {
      if (effect.kind === "watch") {
        const [head, floor] = [seqFrom(this.head), seqFrom(1)];
        this.fanout.watched(name, { code: "ok", epoch: 1, head, floor }, this.nowMs);
      }
      if (effect.kind !== "checkpoint") continue;
      this.asked.push(this.nowMs);
      const size = Math.floor(this.nowMs / 1_000);
      this.fanout.checkpoint(name, this.signs ? noteOf(size) : null, this.nowMs);
    }
  }
}

test("checkpoints: pushed after an attach and after entries, once in ten seconds at most", () => {
  const stage = new Stage();
  const reader = stage.join();
  assert.equal(stage.run(60_000, [reader])[0]?.length, 1, "a quiet room has one");
  const sizes = stage.run(120_000, [reader], () => stage.post())[0] ?? [];
  assert.ok(sizes.length >= 5 && sizes.length <= 7, `${sizes.length} in a busy minute`);
  assert.deepEqual(
    sizes,
    sizes.toSorted((a, b) => a - b),
  );
  const pauses = stage.asked.slice(1).map((at, i) => at - (stage.asked[i] ?? 0));
  assert.ok(Math.min(...pauses) >= checkpointPauseMs, pauses.join());
});

test("checkpoints: who joins later gets one too, the others none that they have", () => {
  const stage = new Stage();
  const first = stage.join();
  stage.run(30_000, [first]);
  const [second, stream] = [stage.join(), stage.join(sseEncoding)];
  const sizes = stage.run(60_000, [first, second, stream]);
  assert.deepEqual(
    sizes.map((each) => each.length),
    [1, 1, 0],
  );
});

test("checkpoints: one who does not read gets none on top, and one when it reads again", () => {
  const stage = new Stage();
  const [slow, fast] = [stage.join(), stage.join()];
  for (let i = 0; i < 100; i += 1) stage.post(1_000);
  stage.run(30_000, [fast]);
  const text = Buffer.concat(slow.take(1e9, stage.nowMs)).toString("latin1");
  assert.ok(!text.includes("ckpt"));
  const sizes = stage.run(60_000, [slow, fast]);
  assert.equal(sizes[0]?.length, 1);
});

test("checkpoints: a shard that has none is asked again, and nothing is pushed meanwhile", () => {
  const stage = new Stage();
  const reader = stage.join();
  stage.signs = false;
  assert.deepEqual(stage.run(20_000, [reader]), [[]]);
  assert.ok(stage.asked.length >= 5 && stage.asked.length <= 12, `${stage.asked.length}`);
  stage.signs = true;
  assert.equal(stage.run(30_000, [reader])[0]?.length, 1);
});

test("checkpoints: any text is a note or none, and never an exception", () => {
  assert.deepEqual(pushedCheckpoint(noteOf(7)), { size: 7, root, note: noteOf(7) });
  const prng = new Prng(11);
  for (let i = 0; i < 2_000; i += 1) {
    const text = noteOf(7);
    const at = prng.below(text.length);
    const letter = String.fromCharCode(prng.below(256));
    const changed = text.slice(0, at) + letter + text.slice(at + prng.below(3));
    const facts = pushedCheckpoint(changed);
    if (facts === null) continue;
    assert.ok(Number.isSafeInteger(facts.size) && facts.root.length === 44);
  }
  for (const text of ["", "\n\n", noteOf(-1), noteOf(2 ** 53), noteOf(1).padEnd(5_000, "x")]) {
    assert.equal(pushedCheckpoint(text), null);
  }
});
