import type { Clock } from "./types.ts";

const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/**
 * Makes UUIDv7 keys that rise: 48 bits of milliseconds, then a 12-bit counter that orders keys of
 * one millisecond, then chance. RFC 9562 section 5.7 and 6.2 method 1.
 */
export class KeyMaker {
  private readonly clock: Clock;
  private lastMs = 0;
  private counter = 0;

  /** `clock` gives time and chance. */
  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** The next key, lower case. */
  next(): string {
    const nowMs = Math.floor(this.clock.wallMs());
    const bytes = this.clock.random(16);
    if (nowMs > this.lastMs) {
      this.lastMs = nowMs;
      this.counter = (bytes[15] ?? 0) & 127;
    } else this.counter += 1;
    if (this.counter > 0xfff) {
      this.counter = 0;
      this.lastMs += 1;
    }
    for (let i = 0; i < 6; i += 1) bytes[i] = Math.floor(this.lastMs / 2 ** (40 - 8 * i)) & 255;
    bytes[6] = 0x70 | (this.counter >> 8);
    bytes[7] = this.counter & 255;
    bytes[8] = 0x80 | ((bytes[8] ?? 0) & 63);
    const digits = [...bytes].map((byte) => hex[byte] ?? "").join("");
    return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-${digits.slice(12, 16)}-${digits.slice(
      16,
      20,
    )}-${digits.slice(20)}`;
  }
}
