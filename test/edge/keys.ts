import { randomBytes } from "node:crypto";

/** A UUIDv7 of a given time. RFC 9562 section 5.7. */
export function keyAt(wallMs: number): string {
  const time = Math.floor(wallMs).toString(16).padStart(12, "0");
  const chance = randomBytes(10).toString("hex");
  const parts = [time.slice(0, 8), time.slice(8), `7${chance.slice(0, 3)}`];
  return [...parts, `8${chance.slice(3, 6)}`, chance.slice(6, 18)].join("-");
}
