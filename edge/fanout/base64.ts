const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Padded base64 of bytes. RFC 4648 section 4. */
export function base64From(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const left = bytes.length - at;
    const word = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    text += alphabet.charAt(word >> 18) + alphabet.charAt((word >> 12) & 63);
    text += left > 1 ? alphabet.charAt((word >> 6) & 63) : "=";
    text += left > 2 ? alphabet.charAt(word & 63) : "=";
  }
  return text;
}

/** Bytes of padded base64 text that follows the schema of edge/api. */
export function bytesFromBase64(text: string): Uint8Array {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let at = 0;
  for (let i = 0; i < text.length; i += 4) {
    const word =
      (sextet(text, i) << 18) |
      (sextet(text, i + 1) << 12) |
      (sextet(text, i + 2) << 6) |
      sextet(text, i + 3);
    for (const shift of [16, 8, 0]) {
      if (at < bytes.length) bytes[at] = (word >> shift) & 255;
      at += 1;
    }
  }
  return bytes;
}

function sextet(text: string, index: number): number {
  return Math.max(0, alphabet.indexOf(text.charAt(index)));
}
