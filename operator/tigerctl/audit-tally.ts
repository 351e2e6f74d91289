import { decodeAuditLine } from "#replica/audit/audit-line.ts";
import { decodeEntry } from "#replica/wire/entry.ts";

/** Counts what an exported audit log says, line by line; whether it is proved is judged apart. */
export class AuditTally {
  /** The first entry that is no line of an audit log, as a sentence; null = none. */
  fault: string | null = null;
  private readonly kinds = new Map<string, number>();
  private lateCount = 0;
  private firstUs = 0;
  private lastUs = 0;
  private header = true;

  /** Takes the next line of the file; the first is the export's header. */
  take(text: string): void {
    if (this.header) {
      this.header = false;
      return;
    }
    const { seq, entry } = JSON.parse(text) as { readonly seq: number; readonly entry: string };
    const decoded = decodeEntry(Buffer.from(entry, "base64"));
    const line = decoded.ok ? decodeAuditLine(decoded.value.body) : null;
    if (!decoded.ok || line === null) {
      this.fault ??= `Entry ${seq} is no line of an audit log.`;
      return;
    }
    this.kinds.set(line.kind, (this.kinds.get(line.kind) ?? 0) + 1);
    if (line.late) this.lateCount += 1;
    if (this.firstUs === 0) this.firstUs = decoded.value.timeUs;
    this.lastUs = decoded.value.timeUs;
  }

  /** What was counted, for people. */
  sentences(): readonly string[] {
    const kinds = [...this.kinds].map(([kind, count]) => `${kind} ${count}`).join(", ");
    const [first, last] = [this.firstUs, this.lastUs].map((us) =>
      new Date(us / 1000).toISOString(),
    );
    return [`audit log from ${first} to ${last}: ${kinds}; taken late: ${this.lateCount}`];
  }
}
