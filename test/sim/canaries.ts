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
  "trust_any_head",
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
];

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
