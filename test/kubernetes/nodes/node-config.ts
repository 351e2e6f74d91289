import { stringify } from "yaml";
import type { NodePlan } from "./topology.ts";
import { addresses } from "./topology.ts";

/** The image of a pod's first process, which holds its namespaces. */
export const pauseImage = "docker.io/tigerchat/pause:dev";

/** Where a node's configuration files lie, as the node and the host see them alike. */
export interface NodeFiles {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
  readonly kubeletKubeconfig: string;
  readonly proxyKubeconfig: string;
  readonly cniDir: string;
}

/**
 * containerd's configuration. Its folders are the usual ones: each node sees its own /var/lib and
 * /run.
 */
export function renderContainerd(files: NodeFiles): string {
  return `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
  address = "/run/containerd/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImage}"
  # Without CAP_SYS_RESOURCE nobody may lower an oom_score_adj, and runc would die trying.
  restrict_oom_score_adj = true
  # Else the CNI plugins leave their network namespaces in the host's /run/netns.
  netns_mounts_under_state_dir = true

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${files.cniDir}"

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
`;
}

/**
 * The pods' network: a veth pair per pod and a route, no bridge. With a bridge, answers between two
 * pods
 * of one node would go round the node's address translation wherever br_netfilter is missing.
 */
export function renderCni(node: NodePlan): string {
  const ipam = {
    type: "host-local",
    ranges: [[{ subnet: node.podRange }]],
    routes: [{ dst: "0.0.0.0/0" }],
  };
  const plugins = [{ type: "ptp", ipMasq: false, ipam }];
  return `${JSON.stringify({ cniVersion: "1.0.0", name: "pods", plugins }, null, 2)}\n`;
}

/** The kubelet's configuration. */
export function renderKubelet(node: NodePlan, files: NodeFiles): string {
  return stringify({
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    address: node.address,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: files.authority },
    },
    authorization: { mode: "Webhook" },
    tlsCertFile: files.certificate,
    tlsPrivateKeyFile: files.key,
    cgroupDriver: "cgroupfs",
    cgroupRoot: `/${node.cgroup}`,
    clusterDNS: [addresses.dnsService],
    clusterDomain: "cluster.local",
    containerRuntimeEndpoint: "unix:///run/containerd/containerd.sock",
    resolvConf: "",
    failSwapOn: false,
    evictionHard: {
      "memory.available": "1%",
      "nodefs.available": "1%",
      "nodefs.inodesFree": "1%",
      "imagefs.available": "1%",
    },
    // No registry stands behind these images: one that is collected never comes back.
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    serializeImagePulls: false,
    maxPods: 64,
    nodeStatusUpdateFrequency: "5s",
    podLogsDir: "/var/log/pods",
    // How soon a pod sees that a ConfigMap changed which it mounts; a minute by default.
    syncFrequency: "5s",
    configMapAndSecretChangeDetectionStrategy: "Watch",
  });
}

/** Flags of the kubelet that its configuration file cannot hold. */
export function kubeletFlags(node: NodePlan, files: NodeFiles, configFile: string): string[] {
  return [
    `--config=${configFile}`,
    `--kubeconfig=${files.kubeletKubeconfig}`,
    `--hostname-override=${node.name}`,
    `--node-ip=${node.address}`,
    `--node-labels=topology.kubernetes.io/zone=${node.zone}`,
    "--root-dir=/var/lib/kubelet",
  ];
}

/** kube-proxy's configuration. */
export function renderProxy(node: NodePlan, files: NodeFiles): string {
  return stringify({
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    clientConnection: { kubeconfig: files.proxyKubeconfig },
    hostnameOverride: node.name,
    mode: "nftables",
    clusterCIDR: addresses.pods,
    detectLocalMode: "ClusterCIDR",
    // The kernel's connection table belongs to the host; a node must not resize it.
    conntrack: { maxPerCore: 0, min: 0 },
  });
}
