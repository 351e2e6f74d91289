import type { KeyObject } from "node:crypto";
import { assert } from "#replica/base/assert.ts";
import type { Checksum, Op } from "#replica/base/brands.ts";
import { bytesFromHex, writeU64 } from "#replica/base/bytes.ts";
import type { Prepare, PrepareFields, PrepareHeader } from "#replica/wire/prepare.ts";
import { signEd25519, signatureBytes } from "./ed25519.ts";
import { sha256 } from "./hash.ts";

/** Consensus's Sealer port, spelled out here because this room does not see replica/vsr. */
export interface NodeSealer {
  /** Completes a prepare made here: checksums, and a signature by that own key. */
  seal(fields: PrepareFields, body: Uint8Array, publicKey?: string): Prepare;
  /** H of a checkpoint's root, parent, op and op checksum: its id. */
  checkpointId(root: Checksum, parentId: Checksum, op: Op, opChecksum: Checksum): Checksum;
}

/** What a sealer needs: the volume's key, and which bytes of a header its checksum covers. */
export interface NodeSealerOptions {
  /** Ed25519. */
  readonly privateKey: KeyObject;
  /** The private half of an own public key; without it there is only the one. */
  readonly privateKeyOf?: (publicKey: string) => KeyObject;
  /** The header as encoded, without checksum and signature; a scratch buffer may be reused. */
  readonly checksummedBytes: (header: PrepareHeader) => Uint8Array;
}

/** H(root, parentId, op, opChecksum): SHA-256 over 32 + 32 + 8 + 32 bytes. */
export function checkpointIdOf(
  root: Checksum,
  parentId: Checksum,
  op: Op,
  opChecksum: Checksum,
): Checksum {
  const bytes = new Uint8Array(104);
  bytes.set(bytesFromHex(root), 0);
  bytes.set(bytesFromHex(parentId), 32);
  writeU64(new DataView(bytes.buffer), 64, op);
  bytes.set(bytesFromHex(opChecksum), 72);
  return sha256(bytes);
}

/** A sealer with native SHA-256 and Ed25519: a hash of the body, one of the header, a signature. */
export function nodeSealer(options: NodeSealerOptions): NodeSealer {
  assert(options.privateKey.asymmetricKeyType === "ed25519", "CRY-01: an Ed25519 key");
  const blank = new Uint8Array(signatureBytes);
  return {
    seal(fields, body, publicKey) {
      const unsealed: PrepareHeader = {
        ...fields,
        bodyBytes: body.length,
        bodyChecksum: sha256(body),
        checksum: "" as Checksum,
        signature: blank,
      };
      const checksum = sha256(options.checksummedBytes(unsealed));
      const own = publicKey === undefined ? undefined : options.privateKeyOf?.(publicKey);
      const signature = signEd25519(own ?? options.privateKey, bytesFromHex(checksum));
      return { header: { ...unsealed, checksum, signature }, body };
    },
    checkpointId: checkpointIdOf,
  };
}
