import { simulate } from "./simulate.ts";

/** Deliberate bugs at the real lines of the core; the simulator must find each of them. */
export const canaries: readonly string[] = [
  "count_old_view_ack",
  "skip_log_view_persistence",
  "nack_faulty",
  "resume_as_primary",
  "truncate_early",
  "execute_without_chain",
  "ack_before_durable",
  "commit_single",
  "install_twice",
  "trust_any_head",
  "overwrite_ring",
  "write_before_log_view",
  "prepare_twice",
];

/** Seeds within which each canary must be found. */
export const canarySeedsMax = 500;

/** The first seed that finds a canary and what it saw, or null. */
export function findCanary(id: string, seedsMax: number): { seed: number; why: string } | null {
  for (let seed = 1; seed <= seedsMax; seed += 1) {
    const { ok, why } = simulate(seed, [id]);
    if (!ok) return { seed, why };
  }
  return null;
}
