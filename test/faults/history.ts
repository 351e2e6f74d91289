/** One post as its client saw it. Times: monotonic ms of the one process that records. */
export interface PostRecord {
  readonly kind: "post";
  readonly room: string;
  readonly client: number;
  /** 32 hex digits; every retry carries the same one. */
  readonly key: string;
  readonly sender: string;
  readonly body: string;
  /** First try. */
  readonly callMs: number;
  /** The acknowledgement, or null: the outcome stayed unknown. */
  returnMs: number | null;
  /** What was acknowledged. */
  seq: number | null;
}

/** One entry as it was read. */
export interface SeenEntry {
  readonly seq: number;
  readonly key: string;
  readonly sender: string;
  readonly body: string;
}

/**
 * One look at a room. `read`: the whole room at the end, through a primary that has just
 * acknowledged a post of the same client: must show all that was acknowledged before. `peek`: a
 * range while faults go on, from any replica: a committed prefix, possibly an old one. `push`:
 * entries that a watch delivered.
 */
export interface LookRecord {
  readonly kind: "read" | "peek" | "push";
  readonly room: string;
  readonly client: number;
  readonly callMs: number;
  readonly returnMs: number;
  /** Seq of the last entry that the answer claims. */
  readonly head: number;
  readonly entries: readonly SeenEntry[];
}

/** What clients of a shard asked and were told, with real times: the material of both judges. */
export class History {
  readonly posts: PostRecord[] = [];
  readonly looks: LookRecord[] = [];
  /** Answers that no client should ever get, as sentences. */
  readonly oddities: string[] = [];

  /** A client is about to send a post for the first time. */
  invoke(post: Omit<PostRecord, "kind" | "callMs" | "returnMs" | "seq">): PostRecord {
    const callMs = performance.now();
    const record: PostRecord = { kind: "post", ...post, callMs, returnMs: null, seq: null };
    this.posts.push(record);
    return record;
  }

  /** The post was acknowledged. */
  acknowledge(record: PostRecord, seq: number): void {
    record.returnMs = performance.now();
    record.seq = seq;
  }

  /** Rooms that occur, sorted. */
  get rooms(): readonly string[] {
    const all = [...this.posts, ...this.looks].map((record) => record.room);
    return [...new Set(all)].sort();
  }

  /** Acknowledged posts. */
  get acknowledged(): number {
    return this.posts.reduce((sum, post) => sum + (post.seq === null ? 0 : 1), 0);
  }

  /** Longest time between two acknowledgements, ms. */
  get longestGapMs(): number {
    const times = this.posts.flatMap((post) => (post.returnMs === null ? [] : [post.returnMs]));
    times.sort((a, b) => a - b);
    return times.reduce((gap, at, i) => Math.max(gap, at - (times[i - 1] ?? at)), 0);
  }

  /** JSON lines for the second judge; times in whole nanoseconds. */
  jsonLines(): string {
    const ns = (ms: number): number => Math.round(ms * 1e6);
    const lines: string[] = [];
    for (const { room, client, key, callMs, returnMs, seq } of this.posts) {
      const end = returnMs === null ? null : ns(returnMs);
      lines.push(JSON.stringify({ kind: "post", room, client, key, call: ns(callMs), end, seq }));
    }
    for (const { kind, room, client, callMs, returnMs, head, entries } of this.looks) {
      const times = { call: ns(callMs), end: ns(returnMs) };
      const seqs = entries.map((entry) => entry.seq);
      const keys = entries.map((entry) => entry.key);
      lines.push(JSON.stringify({ kind, room, client, ...times, head, seqs, keys }));
    }
    return `${lines.join("\n")}\n`;
  }
}
