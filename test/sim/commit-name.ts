import { execFileSync } from "node:child_process";

/** Commit of the working tree, with `+` when files differ from it; "unknown" outside git. */
export function commitName(): string {
  try {
    const git = (...args: string[]): string => {
      return execFileSync("git", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    };
    const changed = git("status", "--porcelain", "--untracked-files=no").trim() !== "";
    return git("rev-parse", "--short=12", "HEAD").trim() + (changed ? "+" : "");
  } catch {
    return "unknown";
  }
}
