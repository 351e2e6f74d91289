import type { RequestHeader } from "#replica/wire/prepare.ts";
import { Violation } from "./subject.ts";

/** Checker 2: what is committed was asked for by some client, byte for byte of its body. */
export class Invention {
  private readonly made = new Set<string>();

  /** `emptyChecksum`: of a registration's body. */
  constructor(emptyChecksum: string) {
    this.made.add(emptyChecksum);
  }

  /** A client sends a request. */
  asked(header: RequestHeader): void {
    this.made.add(header.requestChecksum);
  }

  /** A request was committed. */
  committed(header: RequestHeader): void {
    if (this.made.has(header.requestChecksum)) return;
    throw new Violation(`2 invention: nobody asked for ${header.session}/${header.requestNumber}`);
  }
}
