import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";

type Frame = Readonly<Record<string, unknown>>;

const handshake = [
  "GET /v1/ws HTTP/1.1",
  "host: edge",
  "connection: upgrade",
  "upgrade: websocket",
  "sec-websocket-version: 13",
  "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
  "sec-websocket-protocol: tigerchat.v1.json",
];

/** A WebSocket whose owner decides when it is read: on the bare TCP socket, RFC 6455 section 5. */
export class PausedClient {
  /** Frames that came, in order. */
  readonly frames: Frame[] = [];
  closed = false;
  private readonly socket: Socket;
  private pending: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => this.take(chunk));
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.closed = true;
    });
  }

  /** Connects and greets. */
  static async open(url: string): Promise<PausedClient> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    socket.write(`${handshake.join("\r\n")}\r\n\r\n`);
    const [answer] = (await once(socket, "data")) as [Buffer];
    const end = answer.indexOf("\r\n\r\n");
    if (!answer.toString("latin1").startsWith("HTTP/1.1 101") || end < 0)
      throw new Error("refused");
    const client = new PausedClient(socket);
    client.take(answer.subarray(end + 4));
    client.send({ op: "hello", v: 1, client: "paused/1" });
    await client.until((frame) => frame["op"] === "hello");
    return client;
  }

  /** Sends a frame, masked with zeros. */
  send(frame: object): void {
    const text = Buffer.from(JSON.stringify(frame));
    const long = text.length > 125;
    const head = Buffer.alloc(long ? 8 : 6);
    head[0] = 0x81;
    head[1] = 0x80 | (long ? 126 : text.length);
    if (long) head.writeUInt16BE(text.length, 2);
    this.socket.write(Buffer.concat([head, text]));
  }

  /** Stops to read: the kernel's buffers fill, then the edge's. */
  pause(): void {
    this.socket.pause();
  }

  /** Reads on. */
  resume(): void {
    this.socket.resume();
  }

  /** Ends it. */
  destroy(): void {
    this.socket.destroy();
  }

  /** The first frame that fits; throws when there is none in time. */
  async until(fits: (frame: Frame) => boolean, limitMs = 10_000): Promise<Frame> {
    const untilMs = performance.now() + limitMs;
    for (;;) {
      const found = this.frames.find(fits);
      if (found !== undefined) return found;
      if (this.closed || performance.now() > untilMs) throw new Error("the frame did not come");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  private take(chunk: Buffer): void {
    this.pending = this.pending.length === 0 ? chunk : Buffer.concat([this.pending, chunk]);
    for (;;) {
      const short = (this.pending[1] ?? 0) & 0x7f;
      const head = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (this.pending.length < head) return;
      const size =
        short === 126
          ? this.pending.readUInt16BE(2)
          : short === 127
            ? this.pending.readUInt32BE(6)
            : short;
      if (this.pending.length < head + size) return;
      const payload = this.pending.subarray(head, head + size);
      if (this.pending[0] === 0x81) this.frames.push(JSON.parse(payload.toString()) as Frame);
      this.pending = this.pending.subarray(head + size);
    }
  }
}
