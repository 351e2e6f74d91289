import { assert } from "#replica/base/assert.ts";
import type { Op, ReplicaIndex } from "#replica/base/brands.ts";
import { pipelineMax, sessionWindowMax, sessionsMax } from "#replica/base/limits.ts";
import { Ring } from "#replica/base/ring.ts";
import type { Prepare, Request } from "#replica/wire/prepare.ts";
import { requestEncodedBytes } from "#replica/wire/request.ts";
import { ReplicaSet } from "./quorum.ts";

/** A prepare that the primary has sent and that is not yet committed. */
export interface InFlight {
  readonly prepare: Prepare;
  /** Who has it durable, by acks of this view only. */
  readonly acks: ReplicaSet;
  /** Last time it was sent, ms. */
  sentMs: number;
}

/** What the primary has in flight, in op order without holes, and the requests that wait. */
export class Pipeline {
  private readonly queue = new Ring<Request>(sessionsMax * sessionWindowMax);
  private readonly inFlight: InFlight[] = [];
  /** Taken from the queue, but did not fit the last batch. */
  private carried: Request | null = null;
  private queuedBytes = 0;
  private readonly bytesMax: number;

  /** `bytesMax`: of the requests of one prepare; every request fits. */
  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  /** Requests taken and not yet in a prepare. */
  get waiting(): number {
    return this.queue.count + (this.carried === null ? 0 : 1);
  }

  /** Enough waits to fill a prepare. */
  get batchFull(): boolean {
    return this.queuedBytes >= this.bytesMax;
  }

  /** Takes a request; false when the queue is full. */
  enqueue(request: Request): boolean {
    assert(requestEncodedBytes(request.body.length) <= this.bytesMax, "VSR-33: fits a prepare");
    if (!this.queue.tryPush(request)) return false;
    this.queuedBytes += requestEncodedBytes(request.body.length);
    return true;
  }

  /** The requests of the next prepare: as many as fit, with one registration at most. */
  takeBatch(): Request[] {
    const batch: Request[] = [];
    let bytes = 0;
    let registrations = 0;
    for (;;) {
      const request = this.carried ?? this.queue.shift();
      this.carried = null;
      if (request === undefined) break;
      const size = requestEncodedBytes(request.body.length);
      if (request.header.session === 0) registrations += 1;
      if (bytes + size > this.bytesMax || registrations > 1) {
        this.carried = request;
        break;
      }
      bytes += size;
      batch.push(request);
    }
    this.queuedBytes -= bytes;
    return batch;
  }

  /** Prepares in flight. */
  get count(): number {
    return this.inFlight.length;
  }

  /** The prepares in flight, oldest first. */
  get entries(): readonly InFlight[] {
    return this.inFlight;
  }

  /** The oldest prepare in flight. */
  get first(): InFlight | undefined {
    return this.inFlight[0];
  }

  /** Adds the next prepare; at most pipelineMax in flight. */
  push(prepare: Prepare, nowMs: number): void {
    const last = this.inFlight.at(-1);
    assert(this.inFlight.length < pipelineMax, "VSR-11: pipeline bound");
    assert(last === undefined || last.prepare.header.op + 1 === prepare.header.op, "VSR-12: order");
    this.inFlight.push({ prepare, acks: new ReplicaSet(), sentMs: nowMs });
  }

  /** The entry of an op, or undefined. */
  get(op: Op): InFlight | undefined {
    const first = this.inFlight[0];
    return first === undefined ? undefined : this.inFlight[op - first.prepare.header.op];
  }

  /** Counts an ack for every prepare up to an op. */
  ack(replica: ReplicaIndex, op: Op): void {
    for (const entry of this.inFlight) {
      if (entry.prepare.header.op > op) break;
      entry.acks.add(replica);
    }
  }

  /** Uncounts the acks of a replica: its volume is another one now. */
  forget(replica: ReplicaIndex): void {
    for (const entry of this.inFlight) entry.acks.remove(replica);
  }

  /** Removes the oldest. */
  shift(): InFlight | undefined {
    return this.inFlight.shift();
  }

  /** Forgets everything: this replica no longer leads. Returns what waited. */
  clear(): readonly Request[] {
    const waiting: Request[] = this.carried === null ? [] : [this.carried];
    for (let next = this.queue.shift(); next !== undefined; next = this.queue.shift()) {
      waiting.push(next);
    }
    this.inFlight.length = 0;
    this.carried = null;
    this.queuedBytes = 0;
    return waiting;
  }
}
