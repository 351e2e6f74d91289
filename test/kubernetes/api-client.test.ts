import assert from "node:assert/strict";
import { test } from "node:test";
import { objectPath } from "./api-client.ts";

test("api client: the address of an object follows from its kind", () => {
  const at = (apiVersion: string, kind: string, namespace?: string): string =>
    objectPath({ apiVersion, kind, metadata: { name: "x", ...(namespace && { namespace }) } });
  assert.equal(at("v1", "Service", "a"), "/api/v1/namespaces/a/services/x");
  assert.equal(at("storage.k8s.io/v1", "StorageClass"), "/apis/storage.k8s.io/v1/storageclasses/x");
  const policy = at("networking.k8s.io/v1", "NetworkPolicy", "a");
  assert.equal(policy, "/apis/networking.k8s.io/v1/namespaces/a/networkpolicies/x");
});
