import { utf8From } from "#replica/base/text.ts";
import { bodyBase64CharsMax, bodyBytesMax } from "./limits.ts";

/** Why a body is refused, with a sentence for its sender. */
export interface BodyFault {
  readonly name: "BAD_FRAME" | "TOO_LARGE";
  readonly detail: string;
}

const tooLarge: BodyFault = {
  name: "TOO_LARGE",
  detail: `The body is over ${bodyBytesMax} bytes: shorten it, or post it in parts.`,
};

// RFC 8259 section 8.2 leaves their fate open; what is acknowledged must be what was sent.
const loneSurrogate: BodyFault = {
  name: "BAD_FRAME",
  detail: "body has a lone surrogate, which is no text: send whole characters, or body_b64.",
};

/** Decoded length of padded base64 text that follows the schema. */
export function base64Bytes(text: string): number {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  return (text.length / 4) * 3 - padding;
}

/** Bytes that a body takes; at least one of both is undefined. */
export function bodyBytes(body: string | undefined, base64: string | undefined): number {
  if (body === undefined) return base64 === undefined ? 0 : base64Bytes(base64);
  return utf8From(body).length;
}

/**
 * What is wrong with the body of a post, judged before its schema, so that one size has one answer
 * whatever its characters are: bytes of UTF-8, or of what the base64 stands for. Values of other
 * types are the schema's to refuse.
 */
export function bodyFault(body: unknown, base64: unknown): BodyFault | null {
  if (typeof base64 === "string") {
    if (base64.length > bodyBase64CharsMax || base64Bytes(base64) > bodyBytesMax) return tooLarge;
  }
  if (typeof body !== "string") return null;
  // A character takes one byte at least: long texts need not be encoded to know.
  if (body.length > bodyBytesMax || bodyBytes(body, undefined) > bodyBytesMax) return tooLarge;
  return body.isWellFormed() ? null : loneSurrogate;
}
