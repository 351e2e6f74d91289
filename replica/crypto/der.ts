import { bytesConcat } from "#replica/base/bytes.ts";

// The little of X.690 (DER) that a certificate of our own needs. Writing only.

/** Tags that we write: universal ones, and context tags of X.509. */
export const derTag = {
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectId: 0x06,
  utf8: 0x0c,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  /** [6] primitive: uniformResourceIdentifier of GeneralName (RFC 5280 section 4.2.1.6). */
  uri: 0x86,
  /** [0] constructed. */
  context0: 0xa0,
  /** [3] constructed. */
  context3: 0xa3,
} as const;

function lengthBytes(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  if (length < 0x100) return Uint8Array.of(0x81, length);
  return Uint8Array.of(0x82, length >> 8, length & 0xff);
}

/** One value: tag, length (under 64 KiB), content. */
export function der(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const body = bytesConcat(content);
  return bytesConcat([Uint8Array.of(tag), lengthBytes(body.length), body]);
}

/** An object identifier from its dotted form; two first arcs packed, base 128 after. */
export function derObjectId(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const digits = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) {
      digits.unshift(128 + (left % 128));
    }
    bytes.push(...digits);
  }
  return der(derTag.objectId, Uint8Array.from(bytes));
}

/** A bit string of whole bytes. */
export function derBits(bytes: Uint8Array): Uint8Array {
  return der(derTag.bitString, Uint8Array.of(0), bytes);
}

/** PEM of DER: base64 in lines of 64. */
export function pemFrom(label: string, bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
