import { dirname, join } from "node:path";
import type { CommandResult } from "./process/command.ts";
import { runCommand, tryCommand } from "./process/command.ts";

/** kubectl against one cluster, as its administrator. */
export interface Kubectl {
  /** Runs it and returns what it prints; throws when it fails. */
  run(...args: readonly string[]): Promise<string>;
  /** Runs it and returns how it ended. */
  attempt(...args: readonly string[]): Promise<CommandResult>;
  /** Applies manifests, YAML documents in one text. */
  apply(manifests: string, namespace?: string): Promise<void>;
  /**
   * Asks for a pod's eviction, as `kubectl drain` does; "refused" is the answer 429 of a budget.
   */
  evict(pod: string, namespace?: string): Promise<"evicted" | "refused">;
}

/** Binds a kubectl to a kubeconfig. Each call is bounded to 60 s. */
export function createKubectl(program: string, kubeconfigFile: string): Kubectl {
  // Its cache of the server's schema lies, and goes, with the cluster.
  const cache = join(dirname(kubeconfigFile), "kubectl-cache");
  const base = ["--kubeconfig", kubeconfigFile, "--cache-dir", cache];
  return {
    run: (...args) => runCommand(program, [...base, ...args]),
    attempt: (...args) => tryCommand(program, [...base, ...args]),
    async apply(manifests, namespace = "default") {
      const args = [...base, "apply", "--namespace", namespace, "-f", "-"];
      await runCommand(program, args, { input: manifests });
    },
    async evict(pod, namespace = "default") {
      const metadata = { name: pod, namespace };
      const input = JSON.stringify({ apiVersion: "policy/v1", kind: "Eviction", metadata });
      const path = `/api/v1/namespaces/${namespace}/pods/${pod}/eviction`;
      const args = [...base, "create", "--raw", path, "-f", "-"];
      const answer = await tryCommand(program, args, { input });
      if (answer.code === 0) return "evicted";
      if (answer.stderr.includes("disruption budget")) return "refused";
      throw new Error(`Eviction of ${namespace}/${pod}: ${answer.stderr.trim()}`);
    },
  };
}
