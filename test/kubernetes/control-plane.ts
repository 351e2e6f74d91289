import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ApiClient } from "./api-client.ts";
import { createApiClient } from "./api-client.ts";
import type { Authority } from "./authority.ts";
import { createAuthority, createKeyPair } from "./authority.ts";
import type { Binaries } from "./build/binaries.ts";
import type { ControlPlaneParts } from "./control-plane-flags.ts";
import {
  apiServerFlags,
  controllerManagerFlags,
  etcdFlags,
  schedulerFlags,
} from "./control-plane-flags.ts";
import { renderKubeconfig } from "./kubeconfig.ts";
import type { Daemon } from "./process/daemon.ts";
import { isRunning, logTail, startDaemon } from "./process/daemon.ts";
import { waitFor } from "./process/wait.ts";

/** A running etcd, API server, controller manager and scheduler. */
export interface ControlPlane {
  /** https://ADDRESS:PORT of the API server. */
  readonly server: string;
  readonly kubeconfigFile: string;
  readonly authority: Authority;
  readonly api: ApiClient;
  readonly daemons: readonly Daemon[];
  /** Writes a kubeconfig for one more client into `file`. */
  writeKubeconfig(file: string, user: string, organizations: readonly string[]): Promise<void>;
}

/**
 * How to start one: where its files lie, and what stands before each command (a network namespace).
 */
export interface ControlPlaneOptions {
  readonly binaries: Binaries;
  readonly parts: ControlPlaneParts;
  readonly prefix: readonly string[];
  /** Called as soon as a process exists, so that a crash of the caller cannot lose it. */
  readonly started: (daemon: Daemon) => void;
}

/**
 * Starts the four processes and returns once the default namespace can take pods. Bounded to 60 s.
 */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { parts } = options;
  const server = `https://${parts.address}:${parts.ports.apiServer}`;
  await mkdir(join(parts.dir, "pki"), { recursive: true });
  const authority = await createAuthority("tigerchat test cluster");
  const writeKubeconfig: ControlPlane["writeKubeconfig"] = async (file, user, organizations) => {
    const credentials = await authority.issue({ commonName: user, organizations });
    const text = renderKubeconfig({ server, authority: authority.certificate, user, credentials });
    await writeFile(file, text, { mode: 0o600 });
  };
  await writePki(parts, authority);
  const daemons: Daemon[] = [];
  const start = async (name: keyof Binaries & string, flags: readonly string[]): Promise<void> => {
    const [command = "", ...args] = [...options.prefix, options.binaries[name], ...flags];
    const logFile = join(parts.dir, "log", `${name}.log`);
    const daemon = await startDaemon({ name, command, args, logFile });
    daemons.push(daemon);
    options.started(daemon);
  };
  await start("etcd", etcdFlags(parts));
  await start("kube-apiserver", apiServerFlags(parts));
  const kubeconfigFile = join(parts.dir, "kubeconfig");
  await writeKubeconfig(kubeconfigFile, "admin", ["system:masters"]);
  await writeKubeconfig(managerKubeconfig(parts), "system:kube-controller-manager", []);
  await writeKubeconfig(schedulerKubeconfig(parts), "system:kube-scheduler", []);
  const admin = await authority.issue({ commonName: "admin", organizations: ["system:masters"] });
  const api = createApiClient(server, authority.certificate, admin);
  await waitReady(api, daemons);
  await start("kube-controller-manager", controllerManagerFlags(parts, managerKubeconfig(parts)));
  await start("kube-scheduler", schedulerFlags(parts, schedulerKubeconfig(parts)));
  await waitFor(
    "the default ServiceAccount",
    30_000,
    async () => (await api.get("/api/v1/namespaces/default/serviceaccounts/default")) !== undefined,
    watching(daemons),
  );
  return { server, kubeconfigFile, authority, api, daemons, writeKubeconfig };
}

/** Makes a wait fail early, with the log's tail, when one of these processes ends. */
export function watching(daemons: readonly Daemon[]): {
  abort: () => string | undefined;
  explain: () => string;
} {
  return {
    abort: () => {
      const ended = daemons.find((daemon) => !isRunning(daemon));
      return ended === undefined ? undefined : `${ended.name} ended.\n${logTail(ended)}`;
    },
    explain: () => daemons.map((daemon) => `--- ${daemon.name}\n${logTail(daemon, 5)}`).join("\n"),
  };
}

function waitReady(api: ApiClient, daemons: readonly Daemon[]): Promise<boolean> {
  const ready = async (): Promise<boolean> => (await api.send("GET", "/readyz")).status === 200;
  return waitFor("the API server to be ready", 60_000, ready, watching(daemons));
}

function managerKubeconfig(parts: ControlPlaneParts): string {
  return join(parts.dir, "controller-manager.kubeconfig");
}

function schedulerKubeconfig(parts: ControlPlaneParts): string {
  return join(parts.dir, "scheduler.kubeconfig");
}

async function writePki(parts: ControlPlaneParts, authority: Authority): Promise<void> {
  const write = (name: string, text: string): Promise<void> =>
    writeFile(join(parts.dir, "pki", name), text, { mode: 0o600 });
  const pair = async (name: string, request: Parameters<Authority["issue"]>[0]): Promise<void> => {
    const issued = await authority.issue(request);
    await Promise.all([write(`${name}.crt`, issued.certificate), write(`${name}.key`, issued.key)]);
  };
  const tokens = await createKeyPair();
  const names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"];
  await Promise.all([
    write("ca.crt", authority.certificate),
    write("tokens.pub", tokens.publicKey),
    write("tokens.key", tokens.privateKey),
    pair("apiserver", {
      commonName: "kube-apiserver",
      dnsNames: [...names, "kubernetes.default.svc.cluster.local"],
      addresses: ["127.0.0.1", parts.address, parts.serviceAddress],
    }),
    // The API server comes to kubelets as this user; the group lets it do everything there.
    pair("kubelet-client", {
      commonName: "kube-apiserver-kubelet-client",
      organizations: ["system:masters"],
    }),
  ]);
}
