import type { RequestHeader } from "#replica/wire/prepare.ts";
import { Violation } from "./subject.ts";

/** Name of a request in the history; a registration's is its client. */
export function requestName(header: RequestHeader): string {
  const { session, requestNumber, clientId } = header;
  return session === 0 ? `register ${clientId}` : `${session}/${requestNumber}`;
}

/**
 * Checker 3: no (session, request) and no (room, sender, key) has its effect twice, whichever edge
 * it came by; and nothing is answered that is not in the history.
 */
export class ExactlyOnce {
  private readonly ops = new Map<string, number>();
  private readonly messages = new Set<string>();

  /** A request was committed at an op. */
  committed(header: RequestHeader, op: number): void {
    const name = requestName(header);
    const before = this.ops.get(name);
    // A registration may be repeated: the machine answers with the session that there is.
    if (before !== undefined && header.session !== 0) {
      throw new Violation(`3 exactly once: ${name} at ${before} and at ${op}`);
    }
    if (before === undefined) this.ops.set(name, op);
  }

  /** A message became an entry. */
  entered(room: string, sender: string, key: string): void {
    const name = JSON.stringify([room, sender, key]);
    if (this.messages.has(name)) throw new Violation(`3 exactly once: message ${name} twice`);
    this.messages.add(name);
  }

  /** A client was answered. */
  answered(header: RequestHeader, op: number): void {
    const name = requestName(header);
    const committed = this.ops.get(name);
    if (committed === undefined) throw new Violation(`3 exactly once: ${name} acked, not there`);
    if (committed !== op) throw new Violation(`3 exactly once: ${name} is at ${committed}`);
  }
}
