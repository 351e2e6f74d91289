import assert from "node:assert/strict";
import { randomHex } from "#operator/pki/proof.ts";
import { clientIdFrom, seqFrom } from "#replica/base/brands.ts";
import { ShardLink } from "#replica/transport/shard-link.ts";
import { decodeEntries, type Entry } from "#replica/wire/entry.ts";
import { createRoom, encodeOperations, post, uuidv7 } from "#test/support/prepares.ts";
import type { Stage } from "./stage.ts";

/** Entries of one page at most. */
const pageMax = 100;

/** A client of the shard with what edges mount: certificate, trust bundle, routing table. */
export class EdgeOfTest {
  private readonly link: ShardLink;

  private constructor(link: ShardLink) {
    this.link = link;
  }

  /** Reads the files of the fleet as an edge does, and dials the replicas. */
  static async open(stage: Stage): Promise<EdgeOfTest> {
    const { api } = stage.controlPlane;
    const base = "/api/v1/namespaces/default";
    const read = async (path: string): Promise<Readonly<Record<string, string>>> =>
      ((await api.get(`${base}/${path}`)) as { data: Record<string, string> }).data;
    const secret = await read("secrets/tigerchat-default-edge");
    const decoded = (name: string) => Buffer.from(secret[name] ?? "", "base64").toString();
    const trust = await read("configmaps/tigerchat-default-trust");
    const routing = await read("configmaps/tigerchat-default-routing");
    const table = JSON.parse(routing["routing.json"] ?? "") as {
      cluster: string;
      shards: { name: string; addresses: { port: number }[] }[];
    };
    const [shard] = table.shards;
    assert.ok(shard !== undefined && shard.addresses.length === 3);
    // Names of pods resolve on the played nodes only; their addresses are known.
    const [a, b, c] = [2, 3, 4].map((last) => ({ host: `127.0.0.${last}`, port: 7102 }));
    assert.ok(a !== undefined && b !== undefined && c !== undefined);
    const tls = { cert: decoded("tls.crt"), key: decoded("tls.key"), ca: trust["ca.crt"] ?? "" };
    const { cluster } = table;
    const clientId = clientIdFrom(randomHex(16));
    const at = { name: shard.name, cluster, addresses: [a, b, c] as const };
    return new EdgeOfTest(new ShardLink({ clientId, shard: at, tls, deadlineMs: 20_000 }));
  }

  /** Creates a room and posts a text; returns once both are committed. */
  async write(room: string, text: string): Promise<void> {
    const key = uuidv7(Date.now(), 1);
    const said = post({ room, sender: "ann", key, body: text });
    const body = encodeOperations([createRoom(room), said]);
    const outcome = await new Promise<{ readonly kind: string }>((resolve) => {
      this.link.submit(body, 2, resolve);
    });
    assert.equal(outcome.kind, "ok");
  }

  /** The texts of a room, oldest first. */
  async read(room: string): Promise<readonly string[]> {
    const texts: string[] = [];
    for (let after = 0; ; ) {
      const page = await this.page(room, after);
      const messages = page.filter(({ type }) => type === "message");
      texts.push(...messages.map(({ body }) => Buffer.from(body).toString()));
      const last = page.at(-1)?.seq;
      if (last === undefined) return texts;
      after = last;
    }
  }

  private async page(room: string, after: number): Promise<readonly Entry[]> {
    const range = { kind: "after", seq: seqFrom(after), limit: pageMax } as const;
    const outcome = await this.link.read({ tenant: "t", room }, range);
    assert.equal(outcome.kind, "ok");
    const entries = outcome.kind === "ok" ? decodeEntries(outcome.entries, pageMax) : null;
    assert.ok(entries !== null);
    return entries;
  }

  /** Ends its connections. */
  close(): void {
    this.link.close();
  }
}
