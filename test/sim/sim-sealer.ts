import { type Checksum, checksumZero } from "#replica/base/brands.ts";
import { sha256 } from "#replica/crypto/hash.ts";
import { checkpointIdOf } from "#replica/crypto/node-sealer.ts";
import type { Sealer } from "#replica/vsr/port.ts";
import { prepareChecksummedBytes } from "#replica/wire/prepare-codec.ts";
import type { PrepareHeader } from "#replica/wire/prepare.ts";
import { lab } from "./formation.ts";

const signature = new Uint8Array(64);

/** The production checksums without the signature, which costs a run more than all else. */
export const simSealer: Sealer = {
  seal(fields, body) {
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
