import { bytesEqual } from "#replica/base/bytes.ts";
import { type OperationResult, readResult, resultBytes } from "#replica/wire/operation.ts";
import type { Prepare, PrepareHeader, RequestHeader } from "#replica/wire/prepare.ts";
import { RequestReader } from "#replica/wire/request.ts";
import { operationsFromWire, type WireOperation } from "#test/model/from-wire.ts";
import { MachineModel, type ModelLog, type ModelResult } from "#test/model/machine-model.ts";
import { type ExactlyOnce, requestName } from "./03-exactly-once.ts";
import type { ProofJudge } from "./17-proofs.ts";
import { Violation } from "./subject.ts";

/** Version of the machine from which on histories end. */
const retentionVersion = 2;
const unknownOperation: ModelResult = { code: "bad_operation", dup: false, seq: 0, timeUs: 0 };

/** Limits of the machine that the model must know. */
export type ModelRules = ConstructorParameters<typeof MachineModel>[0];

/**
 * Checker 4: replies in the order of ops are those of the reference model; every replica makes the
 * same ones; what a client gets is what was stored.
 */
export class Replies {
  private readonly model: MachineModel;
  private readonly once: ExactlyOnce;
  private readonly count: (what: string) => void;
  private readonly proofs: ProofJudge;
  private readonly byOp = new Map<number, readonly Uint8Array[]>();
  private readonly byRequest = new Map<string, Uint8Array>();

  /** `count` is told what was asked for and how it was answered. */
  constructor(
    rules: ModelRules,
    once: ExactlyOnce,
    proofs: ProofJudge,
    count: (what: string) => void,
  ) {
    this.proofs = proofs;
    this.model = new MachineModel(rules);
    this.once = once;
    this.count = count;
  }

  /** Committed logs of rooms and threads, by tenant, a space, and name. */
  get logs(): ReadonlyMap<string, ModelLog> {
    return this.model.logs;
  }

  /** A replica executed an op and made these replies; `first`: it is new to the history. */
  executed(prepare: Prepare, replies: readonly Uint8Array[], first: boolean): void {
    const { op } = prepare.header;
    if (!first) {
      const known = this.byOp.get(op);
      const same = known?.every((reply, i) => bytesEqual(reply, replies[i] ?? reply.subarray(1)));
      if (same === true && known?.length === replies.length) return;
      throw new Violation(`4 replies: op ${op} was answered differently before`);
    }
    this.byOp.set(op, replies);
    this.model.advance(prepare.header.timestampUs);
    const reader = new RequestReader(prepare.body);
    for (let index = 0; reader.next(); index += 1) {
      const reply = replies[index];
      if (reply === undefined) throw new Violation(`4 replies: op ${op} lacks reply ${index}`);
      if (reader.session !== 0) this.compare(prepare.header, reader.body, reply);
      const name = requestName(reader.header);
      if (!this.byRequest.has(name)) this.byRequest.set(name, reply);
    }
  }

  /** A client got a reply. */
  answered(header: RequestHeader, body: Uint8Array): void {
    const name = requestName(header);
    const stored = this.byRequest.get(name);
    if (stored === undefined || bytesEqual(stored, body)) return;
    throw new Violation(`4 replies: the answer to ${name} is not the stored one`);
  }

  private compare(header: PrepareHeader, body: Uint8Array, reply: Uint8Array): void {
    const { op, machineVersion } = header;
    const operations = operationsFromWire(body);
    for (const [index, asked] of operations.entries()) {
      const wanted = asked.operation;
      const late = wanted.kind === "retain" || wanted.kind === "trim";
      const unknown = late && machineVersion < retentionVersion;
      const expected = unknown ? unknownOperation : this.model.apply(wanted);
      const { code, dup } = expected;
      this.count(`${wanted.kind === "post" ? wanted.type : wanted.kind} ${dup ? "dup" : code}`);
      if (wanted.kind === "post" && code === "ok" && !dup) {
        const { tenant, room, sender, keyMs, keyTail } = wanted;
        this.once.entered(`${tenant} ${room}`, sender, `${keyMs} ${keyTail}`);
        this.entered(`${tenant} ${room}`, asked);
      }
      const result = readResult(reply, index);
      if (!same(result, expected)) {
        const told = JSON.stringify(result);
        throw new Violation(`4 replies: op ${op}: ${told}, not ${JSON.stringify(expected)}`);
      }
    }
    if (reply.length === operations.length * resultBytes) return;
    throw new Violation(`4 replies: length at op ${op}`);
  }

  private entered(room: string, { key, salt }: WireOperation): void {
    const log = this.model.logs.get(room);
    const entry = log?.entries.at(-1);
    if (log === undefined || entry === undefined) throw new Violation("4 replies: no entry");
    this.proofs.entered(room, { entry, key, salt });
    if (log.root === 0 || entry.seq > 1) return;
    // The first answer of a thread is said in its room too.
    const base = room.slice(0, room.lastIndexOf("/"));
    const said = this.model.logs.get(base)?.entries.at(-1);
    if (said?.type !== "thread") throw new Violation("4 replies: a thread that was not said");
    this.proofs.entered(base, { entry: said, key, salt });
  }
}

function same(result: OperationResult | null, expected: ModelResult): boolean {
  if (result === null) return false;
  const { code, dup, seq, timeUs } = expected;
  const head = result.code === code && result.dup === dup && result.timeUs === timeUs;
  return head && result.seq === seq;
}
