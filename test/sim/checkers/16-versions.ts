import type { PrepareHeader } from "#replica/wire/prepare.ts";
import { Violation } from "./subject.ts";

/**
 * Checker 16: every op runs under one version of the machine, the same on whichever replica and
 * whenever it is replayed; a version begins behind an UPGRADE to it and no-ops only.
 */
export class Versions {
  /** By op: under which version it ran. */
  private readonly ran = new Map<number, number>();
  private readonly kinds = new Map<number, PrepareHeader>();
  /** Upgrades that took effect, seen once each. */
  count = 0;

  /** A replica runs an op while its machine is of that version. */
  executed(replica: number, header: PrepareHeader, version: number): void {
    const { op } = header;
    const where = `op ${op} on replica ${replica}`;
    if (header.machineVersion !== version) {
      throw new Violation(
        `16 versions: ${where} is of ${header.machineVersion}, ran as ${version}`,
      );
    }
    const known = this.ran.get(op);
    if (known !== undefined && known !== version) {
      throw new Violation(`16 versions: ${where} ran as ${version}, elsewhere as ${known}`);
    }
    if (known !== undefined) return;
    this.ran.set(op, version);
    this.kinds.set(op, header);
    const before = this.ran.get(op - 1);
    if (before === undefined || before === version) return;
    if (before > version) throw new Violation(`16 versions: ${where} went back to ${version}`);
    this.began(op, version);
  }

  private began(first: number, version: number): void {
    for (let op = first - 1; ; op -= 1) {
      const header = this.kinds.get(op);
      if (header?.kind === "noop") continue;
      if (header?.kind === "upgrade" && header.requestsCount === version) break;
      throw new Violation(`16 versions: version ${version} began at op ${first} without UPGRADE`);
    }
    this.count += 1;
  }
}
