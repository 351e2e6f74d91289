import { join } from "node:path";

/** TCP ports of a control plane's processes. */
export interface ControlPlanePorts {
  readonly etcdClient: number;
  readonly etcdPeer: number;
  readonly apiServer: number;
  readonly controllerManager: number;
  readonly scheduler: number;
}

/** Everything that the command lines of a control plane are made of. */
export interface ControlPlaneParts {
  /** Holds certificates, etcd's data, logs. */
  readonly dir: string;
  /**
   * Address of the API server; etcd and the rest stay on 127.0.0.1 of the same network namespace.
   */
  readonly address: string;
  readonly ports: ControlPlanePorts;
  /** CIDR of ClusterIPs, and the first address in it (the service "kubernetes"). */
  readonly serviceRange: string;
  readonly serviceAddress: string;
  /**
   * False where no node agent runs and the test plays it: then nobody judges a node by its
   * heartbeats.
   */
  readonly realNodes: boolean;
}

/** Flags of etcd: one member, no sync to disk (the data is thrown away). */
export function etcdFlags(parts: ControlPlaneParts): string[] {
  const client = `http://127.0.0.1:${parts.ports.etcdClient}`;
  const peer = `http://127.0.0.1:${parts.ports.etcdPeer}`;
  return [
    "--name=test",
    `--data-dir=${join(parts.dir, "etcd")}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=test=${peer}`,
    "--unsafe-no-fsync",
    "--log-level=warn",
  ];
}

/**
 * Flags of the API server: RBAC, node authorizer, ServiceAccount admission, everything as in
 * production.
 */
export function apiServerFlags(parts: ControlPlaneParts): string[] {
  const pki = (name: string): string => join(parts.dir, "pki", name);
  return [
    `--etcd-servers=http://127.0.0.1:${parts.ports.etcdClient}`,
    `--bind-address=${parts.address}`,
    `--advertise-address=${parts.address}`,
    `--secure-port=${parts.ports.apiServer}`,
    // A loopback address must not stand in an endpoint, so nothing writes the service's endpoints
    // there.
    `--endpoint-reconciler-type=${parts.realNodes ? "lease" : "none"}`,
    `--tls-cert-file=${pki("apiserver.crt")}`,
    `--tls-private-key-file=${pki("apiserver.key")}`,
    `--client-ca-file=${pki("ca.crt")}`,
    `--kubelet-certificate-authority=${pki("ca.crt")}`,
    `--kubelet-client-certificate=${pki("kubelet-client.crt")}`,
    `--kubelet-client-key=${pki("kubelet-client.key")}`,
    // The names of the nodes resolve nowhere; exec, logs and port-forward must use addresses.
    "--kubelet-preferred-address-types=InternalIP",
    "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
    `--service-account-key-file=${pki("tokens.pub")}`,
    `--service-account-signing-key-file=${pki("tokens.key")}`,
    `--service-cluster-ip-range=${parts.serviceRange}`,
    "--authorization-mode=Node,RBAC",
    "--enable-admission-plugins=NodeRestriction",
    "--allow-privileged=true",
    "--anonymous-auth=false",
    "--profiling=false",
  ];
}

/** Flags of the controller manager, every controller on. */
export function controllerManagerFlags(parts: ControlPlaneParts, kubeconfig: string): string[] {
  const pki = (name: string): string => join(parts.dir, "pki", name);
  const patience = parts.realNodes
    ? []
    : ["--node-monitor-grace-period=24h", "--node-startup-grace-period=24h"];
  return [
    `--kubeconfig=${kubeconfig}`,
    "--bind-address=127.0.0.1",
    `--secure-port=${parts.ports.controllerManager}`,
    `--root-ca-file=${pki("ca.crt")}`,
    `--service-account-private-key-file=${pki("tokens.key")}`,
    "--use-service-account-credentials=true",
    "--leader-elect=false",
    ...patience,
  ];
}

/** Flags of the scheduler. */
export function schedulerFlags(parts: ControlPlaneParts, kubeconfig: string): string[] {
  return [
    `--kubeconfig=${kubeconfig}`,
    "--bind-address=127.0.0.1",
    `--secure-port=${parts.ports.scheduler}`,
    "--leader-elect=false",
  ];
}
