import type { RoomShard } from "#operator/api/room-shard.ts";
import type { ObservedMember } from "#operator/policy/observed.ts";
import type { AuditLineRequest } from "#replica/admin/admin-calls.ts";
import { hexFrom } from "#replica/base/bytes.ts";
import { random } from "#replica/crypto/hash.ts";
import type { Fleet } from "./fleet.ts";
import { adminOf } from "./admin-of.ts";

/** Lines of one shard that wait at most; older ones are on standard output only. */
const waitingMax = 256;
const batchMax = 16;
const textMax = 512;

/**
 * What the operator did, on its way into the shards' audit logs. Lines wait in memory while a shard
 * has no replica that takes them; standard output has each at once.
 */
export class AuditTrail {
  private readonly waiting = new Map<string, AuditLineRequest[]>();

  /** Notes an action. `shard`: key of the shard. `wallMs`: milliseconds since 1970. */
  note(shard: string, facts: Readonly<Record<string, string>>, wallMs: number): void {
    const short = Object.entries(facts).map(([name, text]) => [name, text.slice(0, textMax)]);
    const line = {
      key: keyOf(wallMs),
      kind: "operator_action",
      atUs: wallMs * 1000,
      facts: Object.fromEntries(short),
    };
    const lines = this.waiting.get(shard) ?? [];
    this.waiting.set(shard, [...lines, line].slice(-waitingMax));
  }

  /** Hands what waits to a replica of the shard; what is not taken waits on. */
  async send(
    key: string,
    shard: RoomShard,
    fleet: Fleet,
    members: readonly ObservedMember[],
  ): Promise<void> {
    const lines = this.waiting.get(key)?.slice(0, batchMax) ?? [];
    const member = members.find(({ pod, report }) => {
      return pod !== undefined && report?.state === "normal";
    });
    if (lines.length === 0 || member?.pod === undefined) return;
    const answered = await adminOf(shard, fleet, member.replica, member.pod).audit({ lines });
    // A replica of an older build knows no such call: its lines wait for a newer one.
    if (answered.kind !== "ok") return;
    const left = (this.waiting.get(key) ?? []).filter((line) => !lines.includes(line));
    if (left.length > 0) this.waiting.set(key, left);
    else this.waiting.delete(key);
  }

  /** The shard is gone. */
  forget(key: string): void {
    this.waiting.delete(key);
  }
}

/** A fresh UUIDv7 in hex: RFC 9562 section 5.7. */
function keyOf(wallMs: number): string {
  const chance = hexFrom(random(10));
  const time = wallMs.toString(16).padStart(12, "0");
  return `${time}7${chance.slice(0, 3)}8${chance.slice(3, 18)}`;
}
