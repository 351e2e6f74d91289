/**
 * Fields of `spec` without a meaning where there is no Kubernetes. The local runner reads the same
 * manifest and ignores these; everything else holds there too.
 */
export const fieldsIgnoredLocally: readonly string[] = [
  "lifecycle",
  "paused",
  "fenced",
  "image",
  "update",
  "storage.size",
  "storage.className",
  "encryption",
  "resources",
  "scheduling",
  "primary",
  "drain",
];
