import { existsSync } from "node:fs";
import { runCommand, tryCommand } from "../process/command.ts";
import { withLock } from "../process/lock.ts";
import type { Report } from "./binaries.ts";

/** A program that a node needs, and the Debian package that has it. */
interface Needed {
  readonly packageName: string;
  readonly file: string;
}

const needed: readonly Needed[] = [
  { packageName: "containerd", file: "/usr/bin/containerd" },
  { packageName: "runc", file: "/usr/sbin/runc" },
  { packageName: "containernetworking-plugins", file: "/usr/lib/cni/ptp" },
  { packageName: "buildah", file: "/usr/bin/buildah" },
  { packageName: "nftables", file: "/usr/sbin/nft" },
  { packageName: "iproute2", file: "/usr/sbin/ip" },
  { packageName: "conntrack", file: "/usr/sbin/conntrack" },
  { packageName: "gcc", file: "/usr/bin/gcc" },
  { packageName: "libc6-dev", file: "/usr/include/stdio.h" },
];

const installTimeoutMs = 10 * 60_000;

/** Installs those Debian packages whose files are missing; a few file look-ups when none is. */
export async function ensureDebianPackages(report: Report): Promise<void> {
  const missing = needed.filter((each) => !existsSync(each.file)).map((each) => each.packageName);
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0) {
    throw new Error(`Missing Debian packages; as root: apt-get install ${missing.join(" ")}`);
  }
  report(`Installing ${missing.join(" ")} ...`);
  await withLock("apt-get", installTimeoutMs, async () => {
    const install = ["install", "-y", "-q", "--no-install-recommends", ...missing];
    const env = { DEBIAN_FRONTEND: "noninteractive" };
    const first = await tryCommand("apt-get", install, { timeoutMs: installTimeoutMs, env });
    if (first.code === 0) return;
    // A new machine has no package lists yet.
    await runCommand("apt-get", ["update", "-q"], { timeoutMs: installTimeoutMs, env });
    await runCommand("apt-get", install, { timeoutMs: installTimeoutMs, env });
  });
}
