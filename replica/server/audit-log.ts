import { assert } from "#replica/base/assert.ts";
import { clientIdFrom } from "#replica/base/brands.ts";
import { hexFrom } from "#replica/base/bytes.ts";
import type { AuditFact, AuditLine } from "#replica/audit/audit-line.ts";
import type { AuditMemory } from "#replica/audit/audit-memory.ts";
import { AuditWriter } from "#replica/audit/audit-writer.ts";
import type { ReplicaConfig } from "#replica/admin/replica-config.ts";
import { random } from "#replica/crypto/hash.ts";
import { ShardLink } from "#replica/transport/shard-link.ts";
import type { TlsMaterial } from "#replica/transport/tls-options.ts";
import type { RoomName } from "#replica/wire/client-message.ts";
import { readResult } from "#replica/wire/operation.ts";

/** Between two looks at what waits, ms: lines gather, and a primary is found again; a pace. */
const lookMs = 250;
/** Of one peer a refusal is noted this often at most, ms: a bound of the log, no timeout. */
const refusalPauseMs = 60_000;

/** What an audit log needs of its replica. */
export interface AuditLogOptions {
  readonly replica: number;
  readonly config: ReplicaConfig;
  readonly room: RoomName;
  readonly tls: TlsMaterial;
  /** What waits survives there; null = it is lost with the process. */
  readonly memory: AuditMemory | null;
}

/**
 * Lines of this replica on their way to the shard's audit room, wherever the primary is: a client
 * of its own shard, with one session a process.
 */
export class AuditLog {
  private readonly options: AuditLogOptions;
  private readonly writer: AuditWriter;
  private tls: TlsMaterial;
  private link: ShardLink | null = null;
  private timer: NodeJS.Timeout | null = null;
  private readonly refusedMs = new Map<number, number>();
  private busy = false;
  private closed = false;

  /** Connects when there is a first line. */
  constructor(options: AuditLogOptions) {
    this.options = options;
    this.tls = options.tls;
    const chance = { key: uuidKey, salt: () => random(16) };
    const by = `replica/${options.replica}`;
    this.writer = new AuditWriter(options.room, by, chance, options.memory);
    if (this.writer.count > 0) this.wake();
  }

  /** Notes something; returns at once. */
  note(kind: string, facts: Readonly<Record<string, AuditFact>>): void {
    this.writer.note(kind, facts, wallUs());
    this.wake();
  }

  /** Takes lines of the operator; false when there is no room for all of them. */
  take(lines: readonly { readonly line: AuditLine; readonly key: Uint8Array }[]): boolean {
    const taken = lines.every(({ line, key }) => this.writer.take(line, key));
    this.wake();
    return taken;
  }

  /** Frames of a peer are refused: noted, now and then. */
  refused(peer: number): void {
    const nowMs = performance.now();
    if (nowMs - (this.refusedMs.get(peer) ?? Number.NEGATIVE_INFINITY) < refusalPauseMs) return;
    this.refusedMs.set(peer, nowMs);
    this.note("peer_refused", { peer });
  }

  /**
   * Operations of this replica's own, by the same session; false when there is no primary to take
   * them now. `done`: how many were carried out.
   */
  submit(operations: Uint8Array, count: number, done: (carried: number) => void): boolean {
    if (this.closed) return false;
    this.link ??= this.connect();
    if (this.link.view.primary === null) return false;
    this.link.submit(operations, count, (outcome) => {
      let carried = 0;
      for (let i = 0; i < count && outcome.kind === "ok"; i += 1) {
        if (readResult(outcome.results, i)?.code === "ok") carried += 1;
      }
      done(carried);
    });
    return true;
  }

  /** A rotated identity, for every later connection. */
  setTls(tls: TlsMaterial): void {
    this.tls = tls;
    this.link?.setTls(tls);
  }

  /** What waits is sent in the next life. */
  close(): void {
    this.closed = true;
    if (this.timer !== null) clearInterval(this.timer);
    this.link?.close();
  }

  private wake(): void {
    if (this.timer !== null || this.closed) return;
    this.timer = setInterval(() => this.look(), lookMs);
    this.timer.unref();
  }

  private look(): void {
    if (this.busy) return;
    this.link ??= this.connect();
    const batch = this.link.view.primary === null ? null : this.writer.next(wallUs());
    if (batch === null) {
      this.rest();
      return;
    }
    this.busy = true;
    this.link.submit(batch.operations, batch.count, (outcome) => {
      this.busy = false;
      this.writer.answered(outcome.kind === "ok" ? outcome.results : null);
    });
  }

  /** Nothing waits: no look before the next line. */
  private rest(): void {
    if (this.writer.count > 0 || this.timer === null) return;
    clearInterval(this.timer);
    this.timer = null;
  }

  private connect(): ShardLink {
    const { config } = this.options;
    const [a, b, c] = config.peers.map(({ host, clientPort: port }) => ({ host, port }));
    assert(a !== undefined && b !== undefined && c !== undefined, "SRV-07: three peers");
    return new ShardLink({
      clientId: clientIdFrom(hexFrom(random(16))),
      shard: { name: config.shard, cluster: config.cluster, addresses: [a, b, c] },
      tls: this.tls,
    });
  }
}

function wallUs(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 1000);
}

/** A fresh UUIDv7: RFC 9562 section 5.7. */
function uuidKey(us: number): Uint8Array {
  const key = Uint8Array.from(random(16));
  const view = new DataView(key.buffer);
  const ms = Math.floor(us / 1000);
  view.setUint16(0, Math.floor(ms / 2 ** 32));
  view.setUint32(2, ms % 2 ** 32);
  view.setUint8(6, 0x70 | (view.getUint8(6) & 0x0f));
  view.setUint8(8, 0x80 | (view.getUint8(8) & 0x3f));
  return key;
}
