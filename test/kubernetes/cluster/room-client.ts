import { randomKey } from "#test/support/keys.ts";
import { waitFor } from "../process/wait.ts";

/** A frame of either side; members as the published schemas have them. */
interface Frame {
  readonly op: string;
  readonly id?: string;
  readonly seq?: number;
  readonly key?: string;
  readonly body?: string;
  readonly from?: number | string;
  readonly name?: string;
  readonly retryable?: boolean;
  readonly retry_ms?: number;
  readonly result?: { readonly seq?: number; readonly dup?: boolean };
}

/** A post as it was acknowledged. */
export interface Acknowledged {
  readonly key: string;
  readonly body: string;
  readonly seq: number;
}

/** Patience of a person on a machine that does much else. */
const answerTimeoutMs = 60_000;

/**
 * A person in a room over a WebSocket, written from the published schemas alone: hello, attach,
 * post, ev. A post is repeated with its key until it is acknowledged.
 */
export class RoomClient {
  /** Entries in the order in which they came. */
  readonly seen: { readonly seq: number; readonly key: string; readonly body: string }[] = [];
  /** Longest time that one post took until it was acknowledged, ms. */
  slowestMs = 0;
  private readonly socket: WebSocket;
  private readonly room: string;
  private readonly waiting = new Map<string, (frame: Frame) => void>();
  private lastId = 0;

  private constructor(socket: WebSocket, room: string) {
    this.socket = socket;
    this.room = room;
    socket.addEventListener("message", (event) => this.take(JSON.parse(String(event.data))));
  }

  /** Opens a connection, greets, attaches to the room; entries from its start on follow. */
  static async open(url: string, room: string, token: string): Promise<RoomClient> {
    const socket = new WebSocket(url, "tigerchat.v1.json");
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener("open", () => resolve(), { once: true });
      socket.addEventListener("error", () => reject(new Error(`No WebSocket at ${url}`)), {
        once: true,
      });
    });
    const client = new RoomClient(socket, room);
    const greeted = client.answerTo("hello");
    client.send({ op: "hello", v: 1, client: "cluster-test/1.0" });
    await greeted;
    const attached = await client.ask({ op: "attach", room, token, tail: 200 });
    if (attached.op !== "attached") throw new Error(`attach: ${JSON.stringify(attached)}`);
    return client;
  }

  /** Posts and repeats until it is acknowledged. */
  async post(body: string, key = randomKey()): Promise<Acknowledged> {
    const startMs = performance.now();
    for (;;) {
      const answer = await this.ask({ op: "post", room: this.room, key, body });
      if (answer.op === "ok") {
        this.slowestMs = Math.max(this.slowestMs, performance.now() - startMs);
        return { key, body, seq: answer.result?.seq ?? 0 };
      }
      if (answer.retryable !== true || performance.now() - startMs > answerTimeoutMs) {
        throw new Error(`post: ${JSON.stringify(answer)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, answer.retry_ms ?? 50));
    }
  }

  /** Waits until an entry with this seq has come. */
  async until(seq: number): Promise<void> {
    await waitFor(`entry ${seq} of ${this.room}`, answerTimeoutMs, () =>
      this.seen.some((entry) => entry.seq === seq),
    );
  }

  /** Ends the connection. */
  close(): void {
    this.socket.close();
  }

  private ask(frame: object): Promise<Frame> {
    this.lastId += 1;
    const id = String(this.lastId);
    const answer = this.answerTo(id);
    this.send({ ...frame, id });
    return answer;
  }

  private answerTo(id: string): Promise<Frame> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`No answer to frame ${id} within ${answerTimeoutMs} ms.`)),
        answerTimeoutMs,
      );
      this.waiting.set(id, (frame) => {
        clearTimeout(timer);
        resolve(frame);
      });
    });
  }

  private send(frame: object): void {
    this.socket.send(JSON.stringify(frame));
  }

  private take(frame: Frame): void {
    if (frame.op === "ev") {
      this.seen.push({ seq: frame.seq ?? 0, key: frame.key ?? "", body: frame.body ?? "" });
    } else if (frame.op === "ping") this.send({ op: "pong" });
    else {
      const id = frame.op === "hello" ? "hello" : (frame.id ?? "");
      this.waiting.get(id)?.(frame);
      this.waiting.delete(id);
    }
  }
}
