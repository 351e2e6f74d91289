import { existsSync } from "node:fs";
import { join } from "node:path";
import { runCommand, tryCommand } from "#test/kubernetes/process/command.ts";
import { withLock } from "#test/kubernetes/process/lock.ts";
import { startTicksOf, signal } from "#test/kubernetes/process/daemon.ts";
import { netnsPids } from "./netns-pids.ts";

/** Addresses from 198.18.0.0/15, set apart for benchmarks (RFC 2544). */
const addressOf = (host: number): string => `198.18.240.${host}`;
const clientAddress = addressOf(254);
const lan = "tigerchat-faults-lan";
const netnsOf = (replica: number): string => `tigerchat-faults-${replica}`;
/** The clients' own end of the bridge. */
const hostLink = "tgfaults0";
const netnsDir = "/run/netns";
const lockTimeoutMs = 300_000;
const replicas = [0, 1, 2] as const;

/** How packets from one to another fare: the percentage that is lost. 100 = cut. */
export interface Loss {
  /** Replica index, or the clients. */
  readonly from: number | "clients";
  readonly to: number;
  readonly percent: number;
}

/**
 * Three network namespaces, one a replica, on a bridge in a fourth; clients stand outside, on the
 * bridge too. Loss is by nft at the receiver, so each direction is a rule of its own.
 */
export class FaultNetwork {
  readonly hosts: readonly string[] = replicas.map((replica) => addressOf(10 + replica));
  readonly enter: readonly (readonly string[])[] = replicas.map((replica) => {
    return ["nsenter", `--net=${join(netnsDir, netnsOf(replica))}`];
  });

  /** Makes the namespaces for `work` alone on this machine, and removes them whatever happens. */
  static async with(work: (network: FaultNetwork) => Promise<void>): Promise<void> {
    await withLock("faults network", lockTimeoutMs, async () => {
      await removeNetwork();
      try {
        for (const line of networkLines()) await runCommand("ip", line.split(" "));
        await work(new FaultNetwork());
      } finally {
        await removeNetwork();
      }
    });
  }

  /** From now on these losses and no others. */
  async set(losses: readonly Loss[]): Promise<void> {
    for (const replica of replicas) {
      const rules = losses.filter((loss) => loss.to === replica).map(ruleOf);
      const chain = "chain input { type filter hook input priority 0; policy accept;";
      const table = `table inet faults { ${chain}\n${rules.join("\n")}\n}\n}`;
      const input = `table inet faults\ndelete table inet faults\n${table}\n`;
      const [nsenter = "", ...args] = this.enter[replica] ?? [];
      await runCommand(nsenter, [...args, "nft", "-f", "-"], { input });
    }
  }

  /** Packets flow again. */
  async heal(): Promise<void> {
    await this.set([]);
  }

  /** Packets that a replica has dropped since the last change. */
  async dropped(replica: number): Promise<number> {
    const [nsenter = "", ...args] = this.enter[replica] ?? [];
    const text = await runCommand(nsenter, [...args, "nft", "list", "table", "inet", "faults"]);
    const counts = [...text.matchAll(/packets (\d+)/g)].map((found) => Number(found[1]));
    return counts.reduce((sum, count) => sum + count, 0);
  }
}

function ruleOf({ from, percent }: Loss): string {
  const source = `ip saddr ${from === "clients" ? clientAddress : addressOf(10 + from)}`;
  const chance = percent >= 100 ? "" : ` numgen random mod 100 < ${percent}`;
  return `${source}${chance} counter drop`;
}

function networkLines(): readonly string[] {
  return [
    `netns add ${lan}`,
    `-n ${lan} link add br0 type bridge`,
    `-n ${lan} link set br0 up`,
    `link add ${hostLink} type veth peer name host netns ${lan}`,
    `-n ${lan} link set host master br0 up`,
    `addr add ${clientAddress}/24 dev ${hostLink}`,
    `link set ${hostLink} up`,
    ...replicas.flatMap((replica) => [
      `netns add ${netnsOf(replica)}`,
      `-n ${lan} link add r${replica} type veth peer name eth0 netns ${netnsOf(replica)}`,
      `-n ${lan} link set r${replica} master br0 up`,
      `-n ${netnsOf(replica)} link set lo up`,
      `-n ${netnsOf(replica)} addr add ${addressOf(10 + replica)}/24 dev eth0`,
      `-n ${netnsOf(replica)} link set eth0 up`,
    ]),
  ];
}

/** Removes what stands of the network, of this run or of a crashed one; processes in it first. */
async function removeNetwork(): Promise<void> {
  for (const name of [...replicas.map(netnsOf), lan]) {
    const file = join(netnsDir, name);
    if (!existsSync(file)) continue;
    for (const pid of netnsPids(file)) signal({ pid, startTicks: startTicksOf(pid) }, "SIGKILL");
    await runCommand("ip", ["netns", "delete", name]);
  }
  if (existsSync(`/sys/class/net/${hostLink}`)) await tryCommand("ip", ["link", "del", hostLink]);
}
