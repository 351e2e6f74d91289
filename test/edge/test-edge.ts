import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { endsWithThis } from "#test/support/reaper.ts";
import { freePorts } from "#test/support/free-ports.ts";
import type { TestShard } from "#test/support/test-shard.ts";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Limits that no test meets by accident. */
export const generousLimits = {
  frames: { perS: 1000, burst: 5000 },
  posts: { perS: 1000, burst: 5000 },
  calls: { perS: 1000, burst: 5000 },
  connectionsPerUserMax: 50,
} as const;

/** A real edge process before a real shard. */
export class TestEdge {
  readonly url: string;
  readonly metricsUrl: string;
  readonly apiKey = "tck_test_0123456789abcdef0123456789";
  /** Lines of its log. */
  readonly lines: string[] = [];
  private readonly child: ChildProcess;
  private readonly ended: Promise<number | null>;

  private constructor(child: ChildProcess, port: number, metricsPort: number) {
    this.url = `http://127.0.0.1:${port}`;
    this.metricsUrl = `http://127.0.0.1:${metricsPort}`;
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => this.lines.push(text.trimEnd()));
    }
    this.ended = new Promise((resolve) => child.once("exit", (code) => resolve(code)));
  }

  /** Writes files of its own, starts the process, waits until it is ready. */
  static async start(
    shard: TestShard,
    options: {
      readonly name?: string;
      readonly limits?: object;
      readonly keysOf?: TestEdge;
      readonly nodeFlags?: readonly string[];
    } = {},
  ): Promise<TestEdge> {
    const folder = join(shard.directory, options.name ?? "edge");
    const [port = 0, metricsPort = 0] = await freePorts(2);
    writeFiles(shard, folder, options.keysOf === undefined);
    const shared = join(shard.directory, "edge");
    const file = (name: string) => join(shared, name);
    const config = {
      cluster: shard.cluster,
      fleet: "default",
      listen: { host: "127.0.0.1", port, metricsPort },
      files: {
        routing: file("routing.json"),
        cert: file("tls.crt"),
        key: file("tls.key"),
        trust: file("ca.crt"),
        jwtKeys: file("jwt.json"),
        apiKeys: file("api-keys.json"),
        logins: file("logins"),
      },
      drain: { windowMs: 300 },
      ...(options.limits === undefined ? {} : { limits: options.limits }),
    };
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "edge.json"), JSON.stringify(config));
    const main = join(root, "edge", "server", "main.ts");
    const flags = options.nodeFlags ?? [];
    const child = spawn(process.execPath, [...flags, main, "--config", join(folder, "edge.json")], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    endsWithThis(child);
    const edge = new TestEdge(child, port, metricsPort);
    await edge.waitUntilReady();
    return edge;
  }

  /** A call with the API key; the answer's status and JSON. */
  async call(
    method: string,
    path: string,
    body?: object,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<{ readonly status: number; readonly json: Record<string, unknown> }> {
    const response = await fetch(this.url + path, {
      method,
      headers: {
        authorization: `Bearer ${this.apiKey}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, json: text === "" ? {} : JSON.parse(text) };
  }

  /** Creates a room that is not there yet; its name. */
  async created(room: string, creator?: string): Promise<string> {
    const { status } = await this.call("POST", "/v1/rooms", { room, creator });
    if (status !== 201) throw new Error(`the room ${room} was not created: ${status}`);
    return room;
  }

  /** A session token, minted as an application's server does. */
  async token(room: string, user: string, scopes?: readonly string[]): Promise<string> {
    const asked = scopes === undefined ? { user } : { user, scopes };
    const { json } = await this.call("POST", `/v1/rooms/${room}/sessions`, asked);
    return String(json["token"]);
  }

  /** WebSocket of this edge. */
  get socketUrl(): string {
    return `${this.url.replace("http", "ws")}/v1/ws`;
  }

  /** A one-time code for the page's login. */
  addLogin(directory: string, code: string, login: object): void {
    const name = createHash("sha256").update(code).digest("hex");
    writeFileSync(join(directory, "edge", "logins", name), JSON.stringify(login));
  }

  /** Its process. */
  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Sends a signal and waits for the end; the exit code. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    this.child.kill(signal);
    return await this.ended;
  }

  private async waitUntilReady(): Promise<void> {
    const untilMs = performance.now() + 20_000;
    while (performance.now() < untilMs && this.child.exitCode === null) {
      const ready = await fetch(`${this.url}/readyz`).then(
        (r) => r.ok,
        () => false,
      );
      if (ready) return;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    this.child.kill("SIGKILL");
    throw new Error(`the edge was not ready:\n${this.lines.join("\n")}`);
  }
}

function writeFiles(shard: TestShard, folder: string, fresh: boolean): void {
  if (!fresh) return;
  mkdirSync(join(folder, "logins"), { recursive: true });
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
  const { name } = { name: shard.config.shard };
  write(
    "routing.json",
    JSON.stringify({
      fleet: "default",
      cluster: shard.cluster,
      epoch: 1,
      shards: [{ name, addresses: shard.addresses() }],
      slots: [{ tenant: "", first: 0, count: 4096, shard: name, epoch: 1 }],
    }),
  );
  write("tls.crt", shard.edgeTls.cert);
  write("tls.key", shard.edgeTls.key);
  write("ca.crt", shard.edgeTls.ca);
  const { privateKey } = generateKeyPairSync("ed25519", {
    privateKeyEncoding: { format: "pem", type: "pkcs8" },
    publicKeyEncoding: { format: "pem", type: "spki" },
  });
  const jwk = createPrivateKey(privateKey).export({ format: "jwk" });
  write("jwt.json", JSON.stringify({ keys: [{ ...jwk, kid: "test" }] }));
  const apiKey = "tck_test_0123456789abcdef0123456789";
  const sha256 = createHash("sha256").update(apiKey).digest("hex");
  const scopes = ["rooms", "sessions", "read", "post", "audit"];
  write("api-keys.json", JSON.stringify([{ id: "test", sha256, tenant: "", scopes }]));
}
