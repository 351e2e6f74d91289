import type { JsonValue } from "./schema.ts";

/** A manifest with the verdict that both validators must give. */
export interface RuleCase {
  /** Becomes the object's name where the case gives none; unique, a valid name. */
  readonly name: string;
  /** Id of the rule that refuses, "schema" for the schema itself, null when it is accepted. */
  readonly refusedBy: string | null;
  /** Name under test, where it is the name that matters. */
  readonly objectName?: string;
  /** The stored spec that is changed; absent: the object is created. */
  readonly before?: JsonValue;
  /** The spec under test. */
  readonly spec: JsonValue;
}

const storage = (size: string, walSize: string) => ({ storage: { size, walSize } });
const timing = (heartbeatMs: number, suspectMs: number, viewChangeMs: number) => ({
  timing: { heartbeatMs, suspectMs, viewChangeMs },
});

const created: readonly RuleCase[] = [
  { name: "empty", refusedBy: null, spec: {} },
  { name: "example", refusedBy: null, spec: storage("4Gi", "64Mi") },
  { name: "name-digit", refusedBy: "name", objectName: "1lobby", spec: {} },
  { name: "name-dot", refusedBy: "name", objectName: "lobby.one", spec: {} },
  { name: "name-41", refusedBy: "name", objectName: "a".repeat(41), spec: {} },
  { name: "name-40", refusedBy: null, objectName: "a".repeat(40), spec: {} },
  { name: "slots-all", refusedBy: null, spec: { initialSlots: { first: 0, count: 4096 } } },
  {
    name: "slots-over",
    refusedBy: "slots-within-space",
    spec: { initialSlots: { first: 1, count: 4096 } },
  },
  { name: "slots-none", refusedBy: "schema", spec: { initialSlots: { first: 0, count: 0 } } },
  { name: "slots-half", refusedBy: "schema", spec: { initialSlots: { first: 0 } } },
  { name: "size-small", refusedBy: "size-minimum", spec: storage("3Gi", "64Mi") },
  { name: "size-decimal", refusedBy: "size-minimum", spec: storage("4G", "64Mi") },
  { name: "size-word", refusedBy: "schema", spec: storage("big", "64Mi") },
  { name: "wal-small", refusedBy: "wal-minimum", spec: storage("4Gi", "31Mi") },
  { name: "wal-quarter", refusedBy: null, spec: storage("4Gi", "1Gi") },
  { name: "wal-large", refusedBy: "wal-quarter", spec: storage("4Gi", "1025Mi") },
  {
    name: "memory-over-limit",
    refusedBy: "memory-limit",
    spec: { resources: { requests: { memory: "4Gi" } } },
  },
  { name: "suspect-early", refusedBy: "suspect-after-heartbeats", spec: timing(30, 119, 150) },
  { name: "suspect-exact", refusedBy: null, spec: timing(30, 120, 120) },
  { name: "change-early", refusedBy: "view-change-after-suspicion", spec: timing(20, 100, 99) },
  { name: "draining", refusedBy: null, spec: { lifecycle: "Draining" } },
  {
    name: "draining-fenced",
    refusedBy: "not-draining-and-fenced",
    spec: { lifecycle: "Draining", fenced: [0] },
  },
  { name: "fenced-two", refusedBy: "schema", spec: { fenced: [0, 1] } },
  { name: "replicas-five", refusedBy: "schema", spec: { replicas: 5 } },
  { name: "quorum-three", refusedBy: "schema", spec: { quorum: { replication: 3 } } },
  { name: "lifecycle-odd", refusedBy: "schema", spec: { lifecycle: "Paused" } },
  { name: "preferred-odd", refusedBy: "schema", spec: { primary: { preferred: 3 } } },
  { name: "paused-text", refusedBy: "schema", spec: { paused: "yes" } },
];

const changed: readonly RuleCase[] = [
  { name: "fleet-change", refusedBy: "fleet-immutable", before: {}, spec: { fleet: "other" } },
  { name: "tenant-change", refusedBy: "tenant-immutable", before: {}, spec: { tenant: "acme" } },
  {
    name: "slots-appear",
    refusedBy: "initialSlots-immutable",
    before: {},
    spec: { initialSlots: { first: 0, count: 1 } },
  },
  {
    name: "slots-change",
    refusedBy: "initialSlots-immutable",
    before: { initialSlots: { first: 0, count: 1 } },
    spec: { initialSlots: { first: 0, count: 2 } },
  },
  {
    name: "slots-same",
    refusedBy: null,
    before: { initialSlots: { first: 0, count: 1 } },
    spec: { initialSlots: { first: 0, count: 1 }, paused: true },
  },
  {
    name: "class-appears",
    refusedBy: "storage.className-immutable",
    before: {},
    spec: { storage: { className: "fast" } },
  },
  {
    name: "class-changes",
    refusedBy: "storage.className-immutable",
    before: { storage: { className: "fast" } },
    spec: { storage: { className: "slow" } },
  },
  {
    name: "wal-changes",
    refusedBy: "storage.walSize-immutable",
    before: {},
    spec: { storage: { walSize: "2Gi" } },
  },
  { name: "size-grows", refusedBy: null, before: {}, spec: { storage: { size: "30Gi" } } },
  {
    name: "size-shrinks",
    refusedBy: "size-grows",
    before: {},
    spec: { storage: { size: "19Gi" } },
  },
  {
    name: "size-same-otherwise",
    refusedBy: null,
    before: {},
    spec: { storage: { size: "20480Mi" } },
  },
];

/** Every case; the unit test gives them to the twins, `test:apiserver` to a real API server. */
export const ruleCases: readonly RuleCase[] = [...created, ...changed];
