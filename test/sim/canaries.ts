import { spawnSync } from "node:child_process";
import { rootFolder } from "#test/tidy/source.ts";
import { simulate } from "./simulate.ts";

/** Deliberate bugs at the real lines of production; the simulator must find each of them. */
export const canaries: readonly string[] = [
  // Consensus.
  "count_old_view_ack",
  "skip_log_view_persistence",
  "nack_faulty",
  "resume_as_primary",
  "truncate_early",
  "execute_without_chain",
  "execute_uncommitted",
  "ack_before_durable",
  "commit_single",
  "install_twice",
  "trust_identifiers",
  "overwrite_ring",
  "write_before_log_view",
  "prepare_twice",
  "vote_before_durable",
  "vote_while_recovering",
  "forget_sessions",
  "trust_own_clock",
  "lonely_checkpoint",
  "upgrade_own_time",
  "fence_at_commit",
  "skip_noops",
  // Changing keys.
  "sign_by_executed",
  // Volumes of another day.
  "forget_peers",
  "vote_unvouched",
  // Disk and keys.
  "skip_sync",
  "ignore_write_error",
  "reuse_nonce",
  // Machine.
  "forget_keys_early",
  // Proofs.
  "leaf_without_salt",
  "cosign_unchecked",
  "cosign_before_durable",
  // Wrapped data keys.
  "key_before_durable",
  "one_key_copy",
  "older_key_copy",
  "forget_data_keys",
  "foreign_as_blank",
];

/** A deliberate bug that needs more than one fault to show, and the test that finds it. */
export interface UnitCanary {
  readonly id: string;
  readonly file: string;
  readonly test: string;
}

/** What needs two faults at once (README.md): few runs or none find it, a named test does. */
export const unitCanaries: readonly UnitCanary[] = [
  {
    id: "trust_any_head",
    file: "test/sim/scenarios.test.ts",
    test: "sim: who lost the name of its newest op does not vote until a primary tells its head",
  },
  {
    id: "repair_unnamed",
    file: "replica/storage/replica-storage.test.ts",
    test: "storage: rewriting what was acknowledged names it first, even when identifiers lag",
  },
  {
    id: "report_unnamed",
    file: "replica/storage/replica-storage.test.ts",
    test: "storage: what is far above every name is named before it is reported (STO-14)",
  },
  {
    id: "skip_barrier",
    file: "replica/storage/replica-storage.test.ts",
    test: "storage: a superblock waits for the identifiers of what was durable before it",
  },
  {
    id: "learner_votes_early",
    file: "replica/vsr/learner.test.ts",
    test: "vsr: a learner votes only after it holds what its old self may have acked (VSR-48)",
  },
  {
    id: "keep_former_key",
    file: "replica/transport/rekey.test.ts",
    test: "transport: a key signs prepares by their op: up to the change, and above it",
  },
  {
    id: "drop_former_key",
    file: "replica/server/rekey.test.ts",
    test: "host: the former key is kept until both peers hold the next one durably",
  },
];

function passes({ file, test }: UnitCanary, mutation: string): boolean {
  const pattern = `^${test.replace(/[()]/g, "\\$&")}$`;
  const name = `--test-name-pattern=${pattern}`;
  const args = ["--import", "./test/sim/mutate.ts", "--test-reporter=tap", name, file];
  const env = { ...process.env, MUTATE: mutation, NODE_TEST_CONTEXT: undefined };
  const run = spawnSync(process.execPath, args, { cwd: rootFolder, env, encoding: "utf8" });
  // A pattern that fits no test would pass with any bug.
  if (!run.stdout.includes("# tests 1\n")) throw new Error(`no such test: ${test}`);
  return run.status === 0;
}

/** True when the test of a canary passes without the bug and fails with it. */
export function findUnitCanary(canary: UnitCanary): boolean {
  return passes(canary, "") && !passes(canary, canary.id);
}

/** Seeds within which each canary must be found. */
export const canarySeedsMax = 500;

/** The first seed that finds a canary and passes without it, and what it saw; or null. */
export function findCanary(id: string, seedsMax: number): { seed: number; why: string } | null {
  for (let seed = 1; seed <= seedsMax; seed += 1) {
    const { ok, why } = simulate(seed, { mutations: [id] });
    if (!ok && simulate(seed).ok) return { seed, why };
  }
  return null;
}
