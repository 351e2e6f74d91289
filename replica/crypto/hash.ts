import { createHmac, createSecretKey, hash, type KeyObject, randomBytes } from "node:crypto";
import { crc32 as zlibCrc32 } from "node:zlib";
import type { Checksum } from "#replica/base/brands.ts";

/** Native SHA-256 in one call: what wire, journal and machine receive as their `Hash`. */
export function sha256(bytes: Uint8Array): Checksum {
  return hash("sha256", bytes, "hex") as Checksum;
}

/** Native SHA-256 as 32 bytes. */
export function sha256Bytes(bytes: Uint8Array): Uint8Array {
  return hash("sha256", bytes, "buffer");
}

/** CRC-32 (IEEE 802.3) as an unsigned 32-bit number: finds rot, not malice. */
export function crc32(bytes: Uint8Array): number {
  return zlibCrc32(bytes);
}

/** A symmetric key as node:crypto wants it: a raw Buffer costs 7 microseconds a call on Node 24. */
export function secretKeyFrom(bytes: Uint8Array): KeyObject {
  return createSecretKey(bytes);
}

/** HMAC-SHA256 as 32 bytes. */
export function hmacSha256(key: KeyObject, bytes: Uint8Array): Uint8Array {
  return createHmac("sha256", key).update(bytes).digest();
}

/** Bytes from the system's random source. */
export function random(count: number): Uint8Array {
  return new Uint8Array(randomBytes(count));
}
