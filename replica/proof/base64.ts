const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const values = new Map([...alphabet].map((letter, value) => [letter, value]));

/** Standard base64 with padding, RFC 4648 section 4. */
export function base64From(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const left = bytes.length - at;
    const word =
      ((bytes[at] ?? 0) << 16) |
      ((bytes[at + 1] ?? 0) << 8) |
      (left > 2 ? (bytes[at + 2] ?? 0) : 0);
    text += alphabet.charAt(word >> 18) + alphabet.charAt((word >> 12) & 63);
    text += left > 1 ? alphabet.charAt((word >> 6) & 63) : "=";
    text += left > 2 ? alphabet.charAt(word & 63) : "=";
  }
  return text;
}

/** The bytes of canonical base64; null for anything else, also for unused bits that are not 0. */
export function bytesFromBase64(text: string): Uint8Array | null {
  if (text.length % 4 !== 0) return null;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const letters = text.length - padding;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let word = 0;
  for (let i = 0; i < text.length; i += 1) {
    const value = i < letters ? values.get(text.charAt(i)) : 0;
    if (value === undefined) return null;
    word = (word << 6) | value;
    if (i % 4 !== 3) continue;
    const at = ((i - 3) / 4) * 3;
    const whole = bytes.length - at;
    if ((whole === 1 && (word & 0xffff) !== 0) || (whole === 2 && (word & 0xff) !== 0)) return null;
    bytes[at] = word >> 16;
    if (whole > 1) bytes[at + 1] = word >> 8;
    if (whole > 2) bytes[at + 2] = word;
    word = 0;
  }
  return bytes;
}
