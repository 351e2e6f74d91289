import { join } from "node:path";

/** One node of the test cluster. */
export interface NodePlan {
  readonly name: string;
  /** Label topology.kubernetes.io/zone. */
  readonly zone: string;
  readonly address: string;
  readonly podRange: string;
  /** Its network namespace under /run/netns. */
  readonly netns: string;
  /** Its cgroup, below every controller of /sys/fs/cgroup. */
  readonly cgroup: string;
  /** Its private part of the file system, as the host sees it. */
  readonly dir: string;
}

/**
 * Where the one cluster of this machine keeps its files: short, since sockets' paths end at 107
 * bytes.
 */
export const clusterDir = "/var/tmp/tigerchat-cluster";

/** The network namespace of the control plane, with the bridge that joins all nodes. */
export const lanNetns = "tigerchat-lan";

/** The host's own end of the bridge, by which tests reach nodes, pods and services. */
export const hostLink = "tigerchat0";

/** Addresses, all from 198.18.0.0/15, which RFC 2544 sets apart for benchmarks. */
export const addresses = {
  lan: "198.18.255.1",
  host: "198.18.255.254",
  prefixLength: 24,
  /** Holds every pod range and nothing else; what comes from outside of it is masqueraded. */
  pods: "198.18.0.0/22",
  services: "198.19.0.0/24",
  kubernetesService: "198.19.0.1",
  dnsService: "198.19.0.10",
} as const;

/** Port of the API server on `addresses.lan`. */
export const apiServerPort = 6443;

/** Volumes a node offers, and the size each claims to have. */
export const volumesPerNode = 6;

/** Size that each volume claims to have; nothing enforces it. */
export const volumeSize = "32Gi";

/** The three nodes, each in a zone of its own. */
export const nodePlans: readonly NodePlan[] = [1, 2, 3].map((number) => {
  const name = `node${number}`;
  return {
    name,
    zone: `zone-${number}`,
    address: `198.18.255.${10 + number}`,
    podRange: `198.18.${number}.0/24`,
    netns: `tigerchat-${name}`,
    cgroup: `tigerchat-${name}`,
    dir: join(clusterDir, name),
  };
});

/** Folder of a node's volume, as the node sees it; the host sees it below `dir/lib`. */
export function volumePath(index: number): string {
  return `/var/lib/volumes/${index}`;
}

/** The socket of a node's containerd, as the host sees it. */
export function containerdSocket(node: NodePlan): string {
  return join(node.dir, "run", "containerd", "containerd.sock");
}
