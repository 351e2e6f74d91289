import { strictEqual } from "node:assert/strict";
import { seqFrom } from "#replica/base/brands.ts";
import { readEntriesMax } from "#replica/base/limits.ts";
import { textFromUtf8 } from "#replica/base/text.ts";
import type { ShardLinkPort } from "#replica/transport/shard-link.ts";
import { decodeEntries, type Entry } from "#replica/wire/entry.ts";
import type { Writer } from "./writer.ts";

/** Reads a whole room through the shard's client port. */
export async function readRoom(link: ShardLinkPort, room: string): Promise<readonly Entry[]> {
  const all: Entry[] = [];
  for (let tries = 0; tries < 10_000; ) {
    const seq = seqFrom(all.length);
    const range = { kind: "after", seq, limit: readEntriesMax } as const;
    const outcome = await link.read({ tenant: "", room }, range);
    const right = outcome.kind === "ok" && outcome.answer.code === "ok";
    const entries = right ? decodeEntries(outcome.entries, readEntriesMax) : null;
    if (entries !== null && entries.length === 0) return all;
    if (entries !== null) all.push(...entries);
    else {
      tries += 100;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  throw new Error(`room ${room} could not be read`);
}

/**
 * Judges a room's history against what its writers were promised: seqs dense from 1, every
 * acknowledged message at its seq, no key twice, each writer's messages in its order.
 */
export function judgeRoom(entries: readonly Entry[], writers: readonly Writer[]): void {
  const bySeq = new Map<number, string>();
  const keys = new Set<string>();
  const last = new Map<string, number>();
  entries.forEach((entry, index) => {
    strictEqual(entry.seq, index + 1, "seqs are dense");
    const key = Buffer.from(entry.key).toString("hex");
    strictEqual(keys.has(key), false, `key ${key} stands twice`);
    keys.add(key);
    bySeq.set(entry.seq, key);
    const [sender = "", number = ""] = (textFromUtf8(entry.body) ?? "").split(" ");
    const previous = last.get(sender) ?? -1;
    strictEqual(Number(number) > previous, true, `${sender} ${number} stands after ${previous}`);
    last.set(sender, Number(number));
  });
  for (const writer of writers) {
    for (const promise of writer.acknowledged) {
      strictEqual(bySeq.get(promise.seq), promise.key, `seq ${promise.seq} was acknowledged`);
    }
  }
}

/** Longest time between two acknowledgements of any of the writers, ms. */
export function longestGapMs(writers: readonly Writer[]): number {
  const times = writers.flatMap((writer) => writer.acknowledged.map((one) => one.atMs));
  times.sort((a, b) => a - b);
  let gap = 0;
  for (let i = 1; i < times.length; i += 1) {
    gap = Math.max(gap, (times[i] ?? 0) - (times[i - 1] ?? 0));
  }
  return gap;
}
