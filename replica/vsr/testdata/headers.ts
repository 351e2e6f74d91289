import {
  checksumFrom,
  checksumZero,
  incarnationFrom,
  opFrom,
  replicaFrom,
  timestampFrom,
  viewFrom,
} from "#replica/base/brands.ts";
import type { Checksum } from "#replica/base/brands.ts";
import type { PrepareHeader } from "#replica/wire/prepare.ts";

function checksumOf(op: number, view: number): Checksum {
  return checksumFrom(`${view}`.padStart(8, "0") + `${op}`.padStart(56, "0"));
}

/** A header of an op made in a view, over the op below made in `parentView`. For tests. */
export function headerOf(op: number, view: number, parentView = view): PrepareHeader {
  return {
    kind: op === 0 ? "root" : "noop",
    op: opFrom(op),
    view: viewFrom(view),
    author: replicaFrom(view % 3),
    incarnation: incarnationFrom("0".repeat(32)),
    parent: op === 0 ? checksumZero : checksumOf(op - 1, parentView),
    timestampUs: timestampFrom(op + 1),
    commitMax: opFrom(0),
    quorumCheckpointOp: opFrom(0),
    checkpointId: checksumZero,
    machineVersion: 1,
    requestsCount: 0,
    bodyBytes: 0,
    bodyChecksum: checksumZero,
    checksum: checksumOf(op, view),
    signature: new Uint8Array(64),
  };
}

/** Headers of ops 0 to `last`, chained, all of view 0. For tests. */
export function chainOf(last: number): readonly PrepareHeader[] {
  return Array.from({ length: last + 1 }, (_, op) => headerOf(op, 0));
}

/** Another header of the same op, over the same parent. For tests. */
export function otherThan(header: PrepareHeader): PrepareHeader {
  return { ...headerOf(header.op, header.view + 7), parent: header.parent };
}
