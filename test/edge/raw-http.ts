import { once } from "node:events";
import { connect } from "node:net";

/** An answer as it stands on the wire. */
export interface RawAnswer {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  readonly json: Readonly<Record<string, unknown>>;
}

/** Sends exactly these bytes to a base URL and reads until the other side closes. */
export async function rawHttp(url: string, bytes: string | Buffer): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.setTimeout(10_000, () => socket.destroy(new Error("no answer")));
  socket.write(bytes);
  await once(socket, "close");
  const [head = "", body = ""] = Buffer.concat(chunks).toString("utf8").split("\r\n\r\n");
  const [first = "", ...lines] = head.split("\r\n");
  const headers = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const json = body.startsWith("{") ? (JSON.parse(body) as Record<string, unknown>) : {};
  return { status: Number(first.split(" ")[1]), headers, json };
}

/** A request's bytes; the connection is closed after the answer. */
export function requestBytes(line: string, headers: Readonly<Record<string, string>> = {}): string {
  const all = { host: "edge", connection: "close", ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  return `${[`${line} HTTP/1.1`, ...lines].join("\r\n")}\r\n\r\n`;
}
