import { type Checksum, checksumZero } from "#replica/base/brands.ts";
import { bytesFromHex } from "#replica/base/bytes.ts";
import { sha256 } from "#replica/crypto/hash.ts";
import { checkpointIdOf } from "#replica/crypto/node-sealer.ts";
import type { Sealer } from "#replica/vsr/port.ts";
import { prepareChecksummedBytes } from "#replica/wire/prepare-codec.ts";
import type { PrepareHeader } from "#replica/wire/prepare.ts";
import { lab } from "./formation.ts";

const keyBytes = 32;

/** The key under whose name a signature of {@link simSealer} was made. */
export function keyOfSignature(signature: Uint8Array): Uint8Array {
  return signature.subarray(0, keyBytes);
}

/** The production checksums; for a signature the signer's name, for a real one costs the most. */
export const simSealer: Sealer = {
  seal(fields, body, publicKey) {
    const signature = new Uint8Array(2 * keyBytes);
    signature.set(bytesFromHex(publicKey));
    const unsealed: PrepareHeader = {
      ...fields,
      bodyBytes: body.length,
      bodyChecksum: sha256(body),
      checksum: checksumZero,
      signature,
    };
    const checksum: Checksum = sha256(prepareChecksummedBytes(lab.scope, unsealed));
    return { header: { ...unsealed, checksum }, body };
  },
  checkpointId: checkpointIdOf,
};
