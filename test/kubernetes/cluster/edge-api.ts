import type { Cluster } from "../cluster.ts";
import { release } from "../install-tigerchat.ts";
import { RoomClient } from "./room-client.ts";

/** An entry as GET …/events has it. */
export interface ReadEntry {
  readonly seq: number;
  readonly key: string;
  readonly body: string;
}

/** The edge's HTTP calls through its Service, with the API key that the operator made. */
export class EdgeApi {
  private readonly base: string;
  private readonly key: string;

  private constructor(base: string, key: string) {
    this.base = base;
    this.key = key;
  }

  /** Finds Service and key as the chart's notes tell a person to. */
  static async find(cluster: Cluster): Promise<EdgeApi> {
    const get = (...query: readonly string[]): Promise<string> =>
      cluster.kubectl.run("get", "-n", release.namespace, ...query);
    const address = await get("svc", "tigerchat-edge", "-o", "jsonpath={.spec.clusterIP}");
    const path = "jsonpath={.data.api-key}";
    const key = await get("secret", "tigerchat-default-edge", "-o", path);
    return new EdgeApi(`http://${address}`, Buffer.from(key, "base64").toString("utf8").trim());
  }

  /** Creates a room; harmless when it is there. */
  async createRoom(room: string): Promise<void> {
    await this.call("/v1/rooms", { room });
  }

  /** A session of a user, and with it a connection of theirs. */
  async connect(room: string, user: string): Promise<RoomClient> {
    const session = await this.call(`/v1/rooms/${room}/sessions`, { user });
    const { token, url } = session as { readonly token: string; readonly url: string };
    return RoomClient.open(url, room, token);
  }

  /** Every entry of a room, read in pages. */
  async history(room: string): Promise<readonly ReadEntry[]> {
    const all: ReadEntry[] = [];
    for (;;) {
      const after = all.at(-1)?.seq ?? 0;
      const page = await this.call(`/v1/rooms/${room}/events?after=${after}&limit=200`);
      const { events } = page as { readonly events: readonly ReadEntry[] };
      if (events.length === 0) return all;
      all.push(...events);
    }
  }

  private async call(path: string, body?: object): Promise<unknown> {
    const content = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
    const headers = {
      authorization: `Bearer ${this.key}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    };
    const signal = AbortSignal.timeout(15_000);
    const answer = await fetch(`${this.base}${path}`, { headers, signal, ...content });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
    return JSON.parse(text);
  }
}
