import { once } from "node:events";
import { request } from "node:http";

type Frame = Readonly<Record<string, unknown>>;

const limitMs = 10_000;

/** A WebSocket client as a stranger writes it from the published schema: no code of the SDK. */
export class SocketClient {
  /** Every message that came, as it came. */
  readonly texts: string[] = [];
  /** Close code, once it is closed. */
  readonly closed: Promise<number>;
  private readonly socket: WebSocket;
  private readonly frames: Frame[] = [];
  private readonly waiting = new Set<() => void>();
  private idNext = 1;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.onmessage = ({ data }) => {
      this.texts.push(String(data));
      this.frames.push(JSON.parse(String(data)) as Frame);
      for (const wake of this.waiting) wake();
    };
    this.closed = new Promise((resolve) => {
      socket.onclose = ({ code }) => resolve(code);
    });
  }

  /** Connects and greets. `presented`: more of the hello, such as `ckpt`. */
  static async open(url: string, presented: object = {}): Promise<SocketClient> {
    const socket = new WebSocket(url, "tigerchat.v1.json");
    const client = new SocketClient(socket);
    await once(socket, "open");
    client.send({ op: "hello", v: 1, client: "stranger/1", ...presented });
    await client.next("hello");
    return client;
  }

  /** Status with which a handshake is refused. */
  static async refusal(url: string, headers: Readonly<Record<string, string>>): Promise<number> {
    const asked = request(url.replace(/^ws/, "http"), {
      headers: {
        connection: "upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        ...headers,
      },
    });
    asked.end();
    const [response] = await once(asked, "response");
    response.resume();
    return response.statusCode;
  }

  /** Closes it from this side. */
  close(): void {
    this.socket.close();
  }

  /** Sends a frame. */
  send(frame: object): void {
    this.sendText(JSON.stringify(frame));
  }

  /** Sends any text. */
  sendText(text: string): void {
    this.socket.send(text);
  }

  /** Sends a frame with a fresh id and gives its answer: ok, err or attached. */
  async ask(frame: object): Promise<Frame> {
    const id = `q${this.idNext}`;
    this.idNext += 1;
    this.send({ ...frame, id });
    return await this.find((each) => each["id"] === id, JSON.stringify(frame));
  }

  /** The next frame with that op. */
  async next(op: string): Promise<Frame> {
    return await this.find((each) => each["op"] === op, op);
  }

  private async find(fits: (frame: Frame) => boolean, what: string): Promise<Frame> {
    const untilMs = performance.now() + limitMs;
    while (true) {
      const index = this.frames.findIndex(fits);
      const [found] = index < 0 ? [] : this.frames.splice(index, 1);
      if (found !== undefined) return found;
      if (performance.now() > untilMs) throw new Error(`no answer to ${what}`);
      await new Promise<void>((resolve) => {
        const wake = () => {
          clearTimeout(timer);
          this.waiting.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, 100);
        this.waiting.add(wake);
      });
    }
  }
}
