import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";

/** Files hashed at most in one go: a context larger than that is a mistake. */
const filesMax = 5_000;

/**
 * Hex SHA-256 over texts and over the names and contents of files and folders below `dir`, in the
 * given order.
 */
export async function contentHash(
  texts: readonly string[],
  dir = "",
  names: readonly string[] = [],
): Promise<string> {
  const parts: string[] = [...texts];
  let files = 0;
  const add = async (path: string, shown: string): Promise<void> => {
    if ((await stat(path)).isDirectory()) {
      for (const name of (await readdir(path)).sort())
        await add(join(path, name), `${shown}/${name}`);
      return;
    }
    files += 1;
    if (files > filesMax) throw new Error(`More than ${filesMax} files to hash below ${dir}`);
    parts.push(shown, await sha256(await readFile(path)));
  };
  for (const name of names) await add(join(dir, name), name);
  return sha256(Buffer.from(JSON.stringify(parts)));
}

async function sha256(bytes: Buffer): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new Uint8Array(bytes));
  return Buffer.from(digest).toString("hex");
}
