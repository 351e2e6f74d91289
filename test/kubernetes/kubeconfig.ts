import { stringify } from "yaml";
import type { Credentials } from "./authority.ts";

/** Where an API server is, and who comes to it. */
export interface KubeconfigParts {
  readonly server: string;
  readonly authority: string;
  readonly user: string;
  readonly credentials: Credentials;
}

/** A kubeconfig file with one context, certificates inline. */
export function renderKubeconfig(parts: KubeconfigParts): string {
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name: "tigerchat",
        cluster: { server: parts.server, "certificate-authority-data": base64(parts.authority) },
      },
    ],
    users: [
      {
        name: parts.user,
        user: {
          "client-certificate-data": base64(parts.credentials.certificate),
          "client-key-data": base64(parts.credentials.key),
        },
      },
    ],
    contexts: [
      {
        name: "tigerchat",
        context: { cluster: "tigerchat", user: parts.user, namespace: "default" },
      },
    ],
    "current-context": "tigerchat",
  });
}
