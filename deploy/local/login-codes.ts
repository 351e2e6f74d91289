import { createHash, randomInt } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A person who may log in once with a code. */
export interface Login {
  readonly user: string;
  /** Shown in the page. */
  readonly name: string;
  /** `XXXX-XXXX`, 40 random bits; an edge takes it once. */
  readonly code: string;
}

// Crockford's base 32: no letter that reads like a digit.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

function newCode(): string {
  const letters = Array.from({ length: 8 }, () => alphabet[randomInt(alphabet.length)]);
  return `${letters.slice(0, 4).join("")}-${letters.slice(4).join("")}`;
}

/**
 * Makes a fresh code for each person; codes of earlier runs are void. A file named by the code's
 * SHA-256 says whom it lets in: the code itself is on no disk, and the edge that unlinks the file
 * is the one that used it.
 */
export function issueCodes(
  folder: string,
  people: readonly { readonly user: string; readonly name: string }[],
  rooms: readonly string[],
): readonly Login[] {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return people.map(({ user, name }) => {
    const code = newCode();
    const file = createHash("sha256").update(code).digest("hex");
    const content = JSON.stringify({ user, name, tenant: "", rooms });
    writeFileSync(join(folder, file), content, { mode: 0o600 });
    return { user, name, code };
  });
}
