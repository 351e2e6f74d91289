// Pure rooms have no ambient types; both classes exist in every runtime that we support.
declare const TextEncoder: new () => { encode(text: string): Uint8Array };
declare const TextDecoder: new (
  label: string,
  options: { fatal: boolean; ignoreBOM: boolean },
) => { decode(bytes: Uint8Array): string };

const encoder = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** UTF-8 of a string; lone surrogates become U+FFFD, as the Encoding standard has it. */
export function utf8From(text: string): Uint8Array {
  return encoder.encode(text);
}

/** The string of UTF-8 bytes, or null when they are not valid UTF-8. */
export function textFromUtf8(bytes: Uint8Array): string | null {
  try {
    return strict.decode(bytes);
  } catch {
    return null;
  }
}
