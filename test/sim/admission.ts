import { requestEncodedBytes } from "#replica/wire/request.ts";
import { bodyRoom } from "./swarm.ts";

/** Without a request for so long, an idle primary has made its batch, ms. */
const quietMs = 5;

/**
 * Slots are smaller here than the largest batch of production: what waits for the next batch must
 * fit half of one, since a second registration may leave some of it behind.
 */
export class Admission {
  private readonly bytesMax: number;
  private waitingBytes = 0;
  private takenMs = 0;
  private opMade = 0;

  constructor(slotBytes: number) {
    this.bytesMax = bodyRoom(slotBytes) / 2;
  }

  /** Takes a request with a body of that size, or refuses it. `idle`: nothing is in flight. */
  takes(bodyBytes: number, nowMs: number, idle: boolean): boolean {
    // What came before an idle moment was a duplicate, or is in a batch by now.
    if (idle && nowMs - this.takenMs > quietMs) this.waitingBytes = 0;
    this.takenMs = nowMs;
    const bytes = requestEncodedBytes(bodyBytes);
    if (this.waitingBytes + bytes > this.bytesMax) return false;
    this.waitingBytes += bytes;
    return true;
  }

  /** A prepare leaves: one that is new has taken all that waited. */
  made(op: number): void {
    if (op <= this.opMade) return;
    this.opMade = op;
    this.waitingBytes = 0;
  }

  /** A primary without the cluster's time gives everything back that waits. */
  refused(): void {
    this.waitingBytes = 0;
  }

  /** Status or view changed: nothing waits any more. */
  reset(head: number): void {
    this.opMade = head;
    this.waitingBytes = 0;
  }
}
