import type { Checksum } from "#replica/base/brands.ts";
import type { Sealer } from "#replica/vsr/port.ts";
import type { Prepare, PrepareFields, PrepareHeader } from "#replica/wire/prepare.ts";

const signature = new Uint8Array(64);

function hex8(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}

/** 64 bits of mix as a checksum: fast, and collisions are out of reach within a run. */
export function fakeHash(bytes: Uint8Array | string): Checksum {
  let a = 0x811c9dc5;
  let b = 0x9e3779b9;
  for (let i = 0; i < bytes.length; i += 1) {
    const unit = typeof bytes === "string" ? bytes.charCodeAt(i) : (bytes[i] ?? 0);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b ^ unit ^ (a >>> 15), 0x85ebca6b);
  }
  a = Math.imul(a ^ (a >>> 16), 0xc2b2ae35);
  b = Math.imul(b ^ (b >>> 13), 0x27d4eb2f);
  return (hex8(a ^ (b >>> 7)) + hex8(b) + "0".repeat(48)) as Checksum;
}

/** Seals prepares with the fake hash and an empty signature. */
export const fakeSealer: Sealer = {
  seal(fields: PrepareFields, body: Uint8Array): Prepare {
    const bodyChecksum = fakeHash(body);
    const known = { ...fields, bodyBytes: body.length, bodyChecksum };
    const checksum = fakeHash(JSON.stringify(known));
    const header: PrepareHeader = { ...known, checksum, signature };
    return { header, body };
  },
  checkpointId(root, parentId, op, opChecksum) {
    return fakeHash(`${root}${parentId}${op}${opChecksum}`);
  },
};
