/**
 * The version of Kubernetes under test. 1.34 is the last whose kubelet starts on cgroup v1 by
 * default.
 */
export const kubernetesVersion = "1.34.4";

/**
 * One set of programs, built from one Go module of ours under `modules/`, which pins every
 * dependency.
 */
export interface Toolset {
  /** Folder under `modules/`, and prefix of the folder in the cache. */
  readonly module: string;
  readonly version: string;
  /** Linker flags that stamp the version in, as the projects' own builds do. */
  readonly stamps: readonly string[];
  /** Program name to Go package. */
  readonly programs: Readonly<Record<string, string>>;
}

const kubernetesStamps = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"].flatMap(
  (path) => [
    `${path}.gitVersion=v${kubernetesVersion}`,
    `${path}.gitMajor=${kubernetesVersion.split(".")[0]}`,
    `${path}.gitMinor=${kubernetesVersion.split(".")[1]}`,
  ],
);

const kubernetesPrograms = {
  "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
  "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
  "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
  kubectl: "k8s.io/kubernetes/cmd/kubectl",
  kubelet: "k8s.io/kubernetes/cmd/kubelet",
  "kube-proxy": "k8s.io/kubernetes/cmd/kube-proxy",
} as const;

/** What is built, in the order in which it is needed. */
export const toolsets = [
  {
    module: "etcd",
    version: "3.6.16",
    stamps: [],
    programs: { etcd: "go.etcd.io/etcd/server/v3" },
  },
  {
    module: "kubernetes",
    version: kubernetesVersion,
    stamps: kubernetesStamps,
    programs: kubernetesPrograms,
  },
  {
    module: "helm",
    version: "3.22.0",
    stamps: ["helm.sh/helm/v3/internal/version.version=v3.22.0"],
    programs: { helm: "helm.sh/helm/v3/cmd/helm" },
  },
  {
    module: "helm4",
    version: "4.3.1",
    stamps: ["helm.sh/helm/v4/internal/version.version=v4.3.1"],
    programs: { helm4: "helm.sh/helm/v4/cmd/helm" },
  },
  {
    module: "coredns",
    version: "1.14.7",
    stamps: [],
    programs: { coredns: "github.com/coredns/coredns" },
  },
] as const satisfies readonly Toolset[];

/** The programs that are built from Go modules. */
export type ProgramName =
  | "etcd"
  | "kube-apiserver"
  | "kube-controller-manager"
  | "kube-scheduler"
  | "kubectl"
  | "kubelet"
  | "kube-proxy"
  | "helm"
  | "helm4"
  | "coredns";

/** What `test:apiserver` needs: no node agents. */
export const controlPlanePrograms: readonly ProgramName[] = [
  "etcd",
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "kubectl",
];

/** What the chart is linted and rendered with: both majors that people use. */
export const chartPrograms: readonly ProgramName[] = ["helm", "helm4"];

/** What the three-node cluster needs. */
export const clusterPrograms: readonly ProgramName[] = [
  ...controlPlanePrograms,
  "kubelet",
  "kube-proxy",
  "helm",
  "coredns",
];
