import { assert } from "#replica/base/assert.ts";

/** Bytes of one line at most: etcd's objects end at 1.5 MiB. */
const lineBytesMax = 8 * 1024 * 1024;

/** Splits a stream of bytes into parsed lines. Throws on a line that is not JSON or is too long. */
export async function* jsonLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<unknown> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let rest = "";
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    let end = rest.indexOf("\n");
    while (end >= 0) {
      const line = rest.slice(0, end).trim();
      rest = rest.slice(end + 1);
      if (line !== "") yield JSON.parse(line);
      end = rest.indexOf("\n");
    }
    assert(rest.length <= lineBytesMax, "KUB-01");
  }
}
