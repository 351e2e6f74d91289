import type { Checksum } from "#replica/base/brands.ts";
import type { FrameScope } from "#replica/wire/frame.ts";
import type { PrepareHeader } from "#replica/wire/prepare.ts";
import { decodePrepareHeader, encodePrepareHeader } from "#replica/wire/prepare-codec.ts";

/** What the journal needs of others, given so that it stays pure. */
export interface JournalTools {
  /** Writes headerBytes at `offset`; the rest of `into` is untouched. */
  readonly encodeHeader: (header: PrepareHeader, into: Uint8Array, offset: number) => void;
  /** Reads headerBytes; null unless the header's own checksum holds. Keeps no reference to them. */
  readonly decodeHeader: (bytes: Uint8Array) => PrepareHeader | null;
  /** SHA-256 in production. */
  readonly hash: (bytes: Uint8Array) => Checksum;
  /** A checksum of 32 bits of one unit as stored: CRC-32 in production. */
  readonly crc32: (bytes: Uint8Array) => number;
}

/** The tools of one shard: wire's header codec, its hash, and a checksum for units. */
export function journalToolsFrom(
  scope: FrameScope,
  crc32: (bytes: Uint8Array) => number,
): JournalTools {
  return {
    encodeHeader: (header, into, offset) => encodePrepareHeader(scope, header, into, offset),
    decodeHeader: (bytes) => {
      const decoded = decodePrepareHeader(scope, bytes);
      return decoded.ok ? decoded.value : null;
    },
    hash: scope.hash,
    crc32,
  };
}
