import { Readable } from "node:stream";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Hub } from "#edge/bus/hub.ts";
import { bytesFromBase64 } from "#edge/fanout/base64.ts";
import { markOf, sees } from "#edge/fanout/entry-mark.ts";
import { seqFrom } from "#replica/base/brands.ts";
import { bytesConcat } from "#replica/base/bytes.ts";
import { utf8From } from "#replica/base/text.ts";
import { sha256Bytes } from "#replica/crypto/hash.ts";
import type { ProofQuestion, RoomName } from "#replica/wire/client-message.ts";
import { decodeEntry, entryLeafPreimage, entrySeqAt } from "#replica/wire/entry.ts";
import type { Viewer } from "#replica/wire/visibility.ts";
import { viewerOf } from "./callers.ts";
import type { Callers } from "./callers.ts";
import { countOf } from "./event-routes.ts";
import type { HttpDeps } from "./http-deps.ts";
import { Problem } from "./problem.ts";

/** Entries of one page of an export. */
const exportPage = 200;
const text = "text/plain; charset=utf-8";

/** Receipts, checkpoints, consistency proofs, keys and exports: texts of C2SP and JSON Lines. */
export function proofRoutes(app: FastifyInstance, deps: HttpDeps, callers: Callers): void {
  const { hub } = deps;
  app.get("/v1/rooms/:room/proof", async (request, reply) => {
    const caller = await callers.inRoom(request, "read");
    const { name } = caller;
    const sight = await hub.sight(name, viewerOf(caller));
    if (!sight.ok) throw Problem.of(sight.refusal);
    const seq = required(request, "seq", 1);
    const receipt = await proofOf(hub, name, { kind: "receipt", seq: seqFrom(seq), limit: 1 });
    if (receipt === "") throw new Problem("BAD_FRAME", `The room has no entry ${seq}.`);
    if (caller.session !== null) requireVisible(receipt, sight.viewer);
    return await reply.type(text).send(receipt);
  });

  app.get("/v1/rooms/:room/checkpoint", async (request, reply) => {
    const { name } = await callers.inRoom(request, "read");
    const note = await proofOf(hub, name, { kind: "checkpoint", seq: seqFrom(0), limit: 1 });
    return await reply.type(text).send(note);
  });

  app.get("/v1/rooms/:room/consistency", async (request, reply) => {
    const { name } = await callers.inRoom(request, "read");
    const from = required(request, "from", 0);
    await requireWithin(hub, name, from);
    const question = { kind: "consistency", seq: seqFrom(from), limit: 1 } as const;
    const proof = await proofOf(hub, name, question);
    return await reply.type(text).send(proof);
  });

  app.get("/v1/rooms/:room/keys", async (request, reply) => {
    const { name } = await callers.inRoom(request, "read");
    const keys = await proofOf(hub, name, { kind: "keys", seq: seqFrom(0), limit: 1 });
    return await reply.type(text).send(keys);
  });

  app.get("/v1/rooms/:room/export", async (request, reply) => {
    const { name, session } = await callers.inRoom(request, "read");
    // An export holds what only some may see: it is the application's, not a person's.
    if (session !== null) throw new Problem("DENIED", "An export needs an API key.");
    const header = await proofOf(hub, name, { kind: "export", seq: seqFrom(0), limit: 1 });
    const lines = Readable.from(exportLines(hub, name, header));
    return await reply.type("application/x-ndjson; charset=utf-8").send(lines);
  });
}

/** A shard's log of what was done to it: a room's export, its keys, its newest checkpoint. */
export function auditRoutes(app: FastifyInstance, deps: HttpDeps, callers: Callers): void {
  const { hub } = deps;
  const roomOf = (request: FastifyRequest): RoomName => {
    callers.application(request, "audit");
    const { shard } = request.params as { readonly shard: string };
    const name = hub.auditRoomOf(shard);
    if (name === null) throw new Problem("NO_ROOM", `There is no shard ${shard.slice(0, 64)}.`);
    return name;
  };
  app.get("/v1/audit/:shard/export", async (request, reply) => {
    const name = roomOf(request);
    const header = await proofOf(hub, name, { kind: "export", seq: seqFrom(0), limit: 1 });
    const lines = Readable.from(exportLines(hub, name, header));
    return await reply.type("application/x-ndjson; charset=utf-8").send(lines);
  });
  for (const kind of ["keys", "checkpoint"] as const) {
    app.get(`/v1/audit/:shard/${kind}`, async (request, reply) => {
      const name = roomOf(request);
      const answer = await proofOf(hub, name, { kind, seq: seqFrom(0), limit: 1 });
      return await reply.type(text).send(answer);
    });
  }
}

function required(request: FastifyRequest, name: string, min: number): number {
  const count = countOf(request, name, { min, max: Number.MAX_SAFE_INTEGER });
  if (count === undefined) throw new Problem("BAD_FRAME", `${name} is missing.`);
  return count;
}

async function proofOf(hub: Hub, name: RoomName, question: ProofQuestion): Promise<string> {
  const outcome = await hub.prove(name, question);
  if (!outcome.ok) throw Problem.of(outcome.refusal);
  return outcome.text;
}

/** A shard waits for what its log does not have yet; nobody waits for what it may never have. */
async function requireWithin(hub: Hub, name: RoomName, from: number): Promise<void> {
  const note = await proofOf(hub, name, { kind: "checkpoint", seq: seqFrom(0), limit: 1 });
  const size = Number(note.split("\n", 2)[1]);
  if (from <= size) return;
  throw new Problem("BAD_FRAME", `from is above the newest checkpoint, of ${size} records.`);
}

/** A receipt holds the whole entry: it goes only to those who may see that. */
function requireVisible(receipt: string, viewer: Viewer): void {
  const extra = /^extra (\S+)$/m.exec(receipt)?.[1] ?? "";
  const { entry } = JSON.parse(Buffer.from(extra, "base64").toString()) as { entry: string };
  const decoded = decodeEntry(bytesFromBase64(entry));
  if (!decoded.ok) throw new Problem("INTERNAL");
  if (sees(viewer, decoded.value.seq, markOf(decoded.value))) return;
  throw new Problem("DENIED", "This entry is hidden from this user.");
}

/** The lines of an export: the header, then each entry with the hash of its leaf. */
async function* exportLines(hub: Hub, name: RoomName, header: string): AsyncGenerator<string> {
  yield header;
  const { first, size } = JSON.parse(header) as { readonly first: number; readonly size: number };
  for (let seq = first - 1; seq < size; ) {
    const limit = Math.min(exportPage, size - seq);
    const page = await hub.readEncoded(name, { kind: "after", seq: seqFrom(seq), limit });
    if (page === null || page.length === 0) throw new Error(`the export ends after entry ${seq}`);
    for (const entry of page) {
      const view = new DataView(entry.buffer, entry.byteOffset, entry.byteLength);
      seq = entrySeqAt(view, 0);
      yield entryLine(name, seq, entry);
    }
  }
}

/** As formatExportEntry of replica/proof/room-export.ts has it. */
function entryLine(name: RoomName, seq: number, entry: Uint8Array): string {
  const tenant = utf8From(name.tenant);
  const preimage = entryLeafPreimage(tenant, utf8From(name.room), entry, sha256Bytes);
  // RFC 6962 section 2.1: a leaf's hash is over 0x00 and its content.
  const leaf = sha256Bytes(bytesConcat([Uint8Array.of(0), preimage]));
  const [leaf64, entry64] = [leaf, entry].map((bytes) => Buffer.from(bytes).toString("base64"));
  return `${JSON.stringify({ seq, leaf: leaf64, entry: entry64 })}\n`;
}
