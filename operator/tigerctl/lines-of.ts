/** Characters of a line at most: an entry of 16 KiB in base64 and its frame fit several times. */
const lineCharsMax = 256 * 1024;

/**
 * The lines of a stream of bytes, without their newlines. Only `\n` ends a line, and what follows
 * the last one is a cut line: an altered file is not made right by reading it kindly. A cut line
 * comes with a zero at its end, one that is too long cut off, one that is not UTF-8 with U+FFFD:
 * none of them is canonical, so whoever judges lines refuses it.
 */
export async function* linesOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
    if (rest.length <= lineCharsMax) continue;
    yield rest;
    return;
  }
  rest += decoder.decode();
  if (rest !== "") yield `${rest}\u0000`;
}
