import { checksumZero, type Op, timestampFrom, viewFrom } from "#replica/base/brands.ts";
import { nodeSealer } from "#replica/crypto/node-sealer.ts";
import type { FrameScope } from "#replica/wire/frame.ts";
import { prepareChecksummedBytes } from "#replica/wire/prepare-codec.ts";
import type { Prepare } from "#replica/wire/prepare.ts";
import type { Member } from "#replica/wire/superblock.ts";

/** A prepare as its author would have sealed it; the body is `bodyBytes` of a pattern. */
export function sealedPrepare(
  scope: FrameScope,
  author: Member,
  privateKey: Parameters<typeof nodeSealer>[0]["privateKey"],
  op: Op,
  bodyBytes: number,
): Prepare {
  const sealer = nodeSealer({
    privateKey,
    checksummedBytes: (header) => prepareChecksummedBytes(scope, header),
  });
  const body = new Uint8Array(bodyBytes).map((_, i) => i % 251);
  const fields = {
    kind: "requests",
    op,
    view: viewFrom(2),
    author: author.replica,
    incarnation: author.incarnation,
    parent: checksumZero,
    timestampUs: timestampFrom(1_700_000_000_000_000),
    commitMax: op,
    quorumCheckpointOp: op,
    checkpointId: checksumZero,
    machineVersion: 1,
    requestsCount: 1,
  } as const;
  const sealed = sealer.seal(fields, body);
  // A plain array, as decoders give it, so that tests can compare.
  const signature = new Uint8Array(sealed.header.signature);
  return { header: { ...sealed.header, signature }, body };
}
