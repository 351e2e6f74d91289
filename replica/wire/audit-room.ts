import { slotsCount } from "#replica/base/limits.ts";
import { slotOfRoom } from "#replica/base/slots.ts";
import type { RoomName } from "./client-message.ts";

/** Tenant of system rooms. No application's tenant begins with a tilde. */
export const systemTenant = "~system";

/** True for tenants that no application may have. */
export function isSystemTenant(tenant: string): boolean {
  return tenant.startsWith("~");
}

/**
 * The shard's own room for its audit log: `audit`, or the first of `audit.1`, `audit.2` … whose
 * slot the shard owns, so that each shard of a fleet has one of its own. `owns`: of a slot. Null
 * when the shard owns next to nothing and none was found.
 */
export function auditRoom(owns: (slot: number) => boolean): RoomName | null {
  for (let i = 0; i < 32 * slotsCount; i += 1) {
    const room = i === 0 ? "audit" : `audit.${i}`;
    if (owns(slotOfRoom(systemTenant, room))) return { tenant: systemTenant, room };
  }
  return null;
}
