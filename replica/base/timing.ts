import { replicasCount } from "./limits.ts";

/** What a configuration must say of times, in milliseconds; whole numbers. */
export interface CoreTiming {
  /** Between two heartbeats of the primary. */
  readonly heartbeatMs: number;
  /**
   * Silence of the primary after which a backup suspects it (up to 30 % jitter on top); twice the
   * longest gap of late if that is more, up to suspectMaxMs.
   */
  readonly suspectMs: number;
  /** Time a view change may take before the next view is tried; doubled at every failure. */
  readonly viewChangeMs: number;
}

/** Every timeout of a replica, in milliseconds. */
export interface Timing extends CoreTiming {
  /** Longest such silence that gaps of late can teach (the same jitter on top): 2 x suspectMs. */
  readonly suspectMaxMs: number;
  /** For how long such a gap counts, at least, and at most twice: 30,000, or 100 x suspectMs. */
  readonly gapMemoryMs: number;
  /** Lateness of the own process from which it blames itself, not the primary: suspectMs / 2. */
  readonly latenessMs: number;
  /** Time that the target of a planned transfer has to catch up: suspectMs / 2. */
  readonly transferMs: number;
  /** What SIGTERM spends on giving the primary away at most: 20,000, or 2 x viewChangeMs. */
  readonly handOverMs: number;
  /** For how long a sample of a peer's clock is good: 10,000, or 50 heartbeats. */
  readonly clockSampleMs: number;
  /** A link between replicas that has nothing to say says so at least this often: 250. */
  readonly peerAliveMs: number;
  /** A link that brought nothing for this long is dialled anew: 1,500, or 4 x suspectMs. */
  readonly peerSilenceMs: number;
  /** From asking one peer for a damaged block to asking the other: 100. */
  readonly repairRetryMs: number;
  /** From asking for a chunk of a checkpoint to asking again: 200. */
  readonly chunkRetryMs: number;
  /** A state sync without progress for this long begins anew: 1,000. */
  readonly syncPatienceMs: number;
  /** Least time between two batches while one is in flight: 1. */
  readonly batchLingerMs: number;
  /** Least time between two batches of a busy shard: 3, or suspectMs / 8 if that is less. */
  readonly batchGapMs: number;
  /** For how long identifiers of the WAL are gathered into one write: 20; eight go at once. */
  readonly identifierGatherMs: number;
  /** How far a wall clock may be from the truth, beside what its sample's travel hides: 500. */
  readonly clockToleranceMs: number;
  /** Segments that nothing names stay this long after a peer last fetched one: 10,000. */
  readonly garbageHoldMs: number;
  /** From sending a cosignature to sending it again while the other one is missing: 1,000. */
  readonly cosignResendMs: number;
  /** An idle shard's last entries wait this long for the op that closes their second: 1,000. */
  readonly pulseAfterMs: number;
  /** A peer that was heard this long ago is there, when a start is about to be refused: 2,000. */
  readonly peerHeardMs: number;
  /** Without word from the primary for this long no replica says that it has caught up: 1,000. */
  readonly primarySilenceMs: number;
  /** From the dial of a peer to the end of the TLS handshake: 3,000. */
  readonly handshakeMs: number;
  /** First pause between two dials of a peer, doubled at every failure: 10. */
  readonly redialFirstMs: number;
  /** Longest such pause, so that a replica that comes back is found within it: 500. */
  readonly redialMaxMs: number;
  /** After a link closed, a refused dial means for this long that its process ended: 1,000. */
  readonly refusedWindowMs: number;
  /** A client that said nothing for this long is disconnected: 30,000. */
  readonly clientSilenceMs: number;
  /** Between two rounds of retention through all rooms, at least: 30,000. */
  readonly retentionRoundMs: number;
  /** Between two looks whether a mounted file (trust bundle, KEK) changed: 2,000. */
  readonly filesLookMs: number;
}

/** What a configuration may say: the core, and of the rest whatever differs from the default. */
export type TimingConfig = CoreTiming & Partial<Timing>;

/** Heartbeats in a suspicion at least: three may be lost. */
export const heartbeatsPerSuspicion = 4;
/**
 * A backup that has nothing to ack gives its primary a sign of life at least so often, in
 * heartbeats: with one more, for which an ack may go unread, less than a suspicion.
 */
export const lifeHeartbeats = 2;
/** Prepares stand in for heartbeats, which say more, for at most so many of them. */
export const commitHeartbeats = 4;
/** Any two replicas hear of each other and of what is new at least so often, in heartbeats. */
export const pingHeartbeats = 5;
/** All that a ping tells is told, and the peer's clock asked for, so often, in heartbeats. */
export const tellHeartbeats = 25;

/** Bounds of each time, ms. */
export const timingBounds: Readonly<Record<keyof Timing, readonly [number, number]>> = {
  heartbeatMs: [5, 10_000],
  suspectMs: [20, 60_000],
  viewChangeMs: [20, 60_000],
  suspectMaxMs: [20, 120_000],
  gapMemoryMs: [200, 86_400_000],
  latenessMs: [5, 60_000],
  transferMs: [5, 60_000],
  handOverMs: [100, 600_000],
  clockSampleMs: [1_000, 3_600_000],
  peerAliveMs: [10, 60_000],
  peerSilenceMs: [100, 600_000],
  repairRetryMs: [10, 60_000],
  chunkRetryMs: [10, 60_000],
  syncPatienceMs: [100, 600_000],
  batchLingerMs: [0, 1_000],
  batchGapMs: [0, 1_000],
  identifierGatherMs: [1, 1_000],
  // Not below the step of a clock that is noticed as one (100 ms; vsr/clock-keeping.ts).
  clockToleranceMs: [100, 60_000],
  garbageHoldMs: [200, 3_600_000],
  cosignResendMs: [20, 600_000],
  pulseAfterMs: [20, 600_000],
  peerHeardMs: [100, 600_000],
  primarySilenceMs: [20, 600_000],
  handshakeMs: [100, 600_000],
  redialFirstMs: [1, 60_000],
  redialMaxMs: [1, 60_000],
  refusedWindowMs: [1, 600_000],
  // Four signs of life of a client, which speaks twice a second (transport/replica-connection.ts).
  clientSilenceMs: [2_000, 3_600_000],
  // One look at some rooms (server/retention-keeper.ts) is the least.
  retentionRoundMs: [1_000, 86_400_000],
  filesLookMs: [100, 3_600_000],
};

/** The whole of it; what is not said follows from what is. */
export function completeTiming(config: TimingConfig): Timing {
  const { suspectMs, heartbeatMs, viewChangeMs } = config;
  const half = Math.max(5, Math.floor(suspectMs / 2));
  return {
    suspectMaxMs: 2 * suspectMs,
    gapMemoryMs: Math.max(30_000, 100 * suspectMs),
    latenessMs: Math.max(heartbeatMs, half),
    transferMs: half,
    handOverMs: Math.max(20_000, 2 * viewChangeMs),
    clockSampleMs: Math.max(10_000, 2 * tellHeartbeats * heartbeatMs),
    peerAliveMs: 250,
    peerSilenceMs: Math.max(1_500, heartbeatsPerSuspicion * suspectMs),
    repairRetryMs: 100,
    chunkRetryMs: 200,
    syncPatienceMs: 1_000,
    batchLingerMs: 1,
    batchGapMs: Math.min(3, Math.floor(suspectMs / 8)),
    identifierGatherMs: Math.min(20, suspectMs),
    clockToleranceMs: 500,
    garbageHoldMs: 10_000,
    cosignResendMs: Math.max(1_000, suspectMs),
    pulseAfterMs: Math.max(1_000, suspectMs),
    peerHeardMs: Math.max(2_000, 4 * pingHeartbeats * heartbeatMs),
    primarySilenceMs: Math.max(1_000, 2 * suspectMs),
    handshakeMs: 3_000,
    redialFirstMs: 10,
    redialMaxMs: 500,
    refusedWindowMs: 1_000,
    clientSilenceMs: 30_000,
    retentionRoundMs: 30_000,
    filesLookMs: 2_000,
    ...config,
  };
}

/** A rule between times: holds or not, whose fault, and what must be so. */
interface Rule {
  readonly member: keyof Timing;
  readonly must: string;
  readonly least: (timing: Timing) => number;
}

const rules: readonly Rule[] = [
  {
    member: "suspectMs",
    must: `${heartbeatsPerSuspicion} x heartbeatMs`,
    least: ({ heartbeatMs }) => heartbeatsPerSuspicion * heartbeatMs,
  },
  { member: "suspectMaxMs", must: "suspectMs", least: ({ suspectMs }) => suspectMs },
  // What a primary that is slow now and then may cost when it dies.
  {
    member: "suspectMs",
    must: "suspectMaxMs / 2",
    least: ({ suspectMaxMs }) => Math.ceil(suspectMaxMs / 2),
  },
  {
    member: "gapMemoryMs",
    must: "10 x suspectMaxMs",
    least: ({ suspectMaxMs }) => 10 * suspectMaxMs,
  },
  { member: "viewChangeMs", must: "suspectMs", least: ({ suspectMs }) => suspectMs },
  { member: "latenessMs", must: "heartbeatMs", least: ({ heartbeatMs }) => heartbeatMs },
  // Whoever wakes so late accuses nobody: it must notice that before it would.
  { member: "suspectMs", must: "latenessMs", least: ({ latenessMs }) => latenessMs },
  { member: "viewChangeMs", must: "transferMs", least: ({ transferMs }) => transferMs },
  {
    member: "handOverMs",
    must: "transferMs + viewChangeMs",
    least: ({ transferMs, viewChangeMs }) => transferMs + viewChangeMs,
  },
  // A dead path is first a matter of suspicion, then one of dialling anew.
  {
    member: "peerSilenceMs",
    must: "suspectMaxMs",
    least: ({ suspectMaxMs }) => suspectMaxMs,
  },
  { member: "peerSilenceMs", must: "4 x peerAliveMs", least: ({ peerAliveMs }) => 4 * peerAliveMs },
  {
    member: "clockSampleMs",
    must: `2 x ${tellHeartbeats} heartbeats`,
    least: ({ heartbeatMs }) => 2 * tellHeartbeats * heartbeatMs,
  },
  { member: "syncPatienceMs", must: "chunkRetryMs", least: ({ chunkRetryMs }) => chunkRetryMs },
  { member: "suspectMs", must: "8 x batchGapMs", least: ({ batchGapMs }) => 8 * batchGapMs },
  { member: "suspectMs", must: "8 x batchLingerMs", least: (each) => 8 * each.batchLingerMs },
  // A write of identifiers may not hold an ack back as long as a primary's silence lasts.
  { member: "suspectMs", must: "identifierGatherMs", least: (each) => each.identifierGatherMs },
  // A clock drifts 200 ppm at most while its sample ages: a fifth of this.
  {
    member: "clockToleranceMs",
    must: "clockSampleMs / 1000",
    least: ({ clockSampleMs }) => Math.ceil(clockSampleMs / 1_000),
  },
  // A sync that lost its source asks again after its patience: what it fetches must be there then.
  {
    member: "garbageHoldMs",
    must: "2 x syncPatienceMs",
    least: ({ syncPatienceMs }) => 2 * syncPatienceMs,
  },
  // An answer counts as one until half of this has passed.
  { member: "cosignResendMs", must: "suspectMs", least: ({ suspectMs }) => suspectMs },
  // A shard whose view changes is not an idle one.
  { member: "pulseAfterMs", must: "suspectMs", least: ({ suspectMs }) => suspectMs },
  {
    member: "peerHeardMs",
    must: `2 x ${pingHeartbeats} heartbeats`,
    least: ({ heartbeatMs }) => 2 * pingHeartbeats * heartbeatMs,
  },
  {
    member: "primarySilenceMs",
    must: "suspectMaxMs",
    least: ({ suspectMaxMs }) => suspectMaxMs,
  },
  { member: "redialMaxMs", must: "redialFirstMs", least: ({ redialFirstMs }) => redialFirstMs },
  // Otherwise a slow handshake would spend most of its time waiting for the next try.
  { member: "handshakeMs", must: "redialMaxMs", least: ({ redialMaxMs }) => redialMaxMs },
  // The side that only looks whether the port answers looks at least once in that window.
  { member: "refusedWindowMs", must: "redialMaxMs", least: ({ redialMaxMs }) => redialMaxMs },
];

/** Which member breaks which rule, as the end of a sentence that begins with it; null = none. */
export function timingProblem(
  timing: Timing,
): { readonly member: keyof Timing; readonly what: string } | null {
  for (const [name, [min, max]] of Object.entries(timingBounds)) {
    const member = name as keyof Timing;
    const value = timing[member];
    if (Number.isSafeInteger(value) && value >= min && value <= max) continue;
    return { member, what: `must be a whole number from ${min} to ${max}` };
  }
  for (const { member, must, least } of rules) {
    const bound = least(timing);
    if (timing[member] < bound)
      return { member, what: `must be at least ${must}, that is ${bound}` };
  }
  return null;
}

/** Replicas that must hold a prepare, and that must vote for a view. */
export interface QuorumSizes {
  readonly replication: number;
  readonly viewChange: number;
}

/** Which size breaks which rule, as {@link timingProblem}; null = none. */
export function quorumProblem(
  quorum: QuorumSizes,
): { readonly member: keyof QuorumSizes; readonly what: string } | null {
  for (const member of ["replication", "viewChange"] as const) {
    const size = quorum[member];
    const fits = Number.isSafeInteger(size) && size >= 1 && size <= replicasCount;
    if (!fits) return { member, what: `must be a whole number from 1 to ${replicasCount}` };
    if (2 * size > replicasCount) continue;
    return { member, what: `must be more than half of ${replicasCount} replicas` };
  }
  if (quorum.replication + quorum.viewChange > replicasCount) return null;
  const what = `and replication must share a replica: together more than ${replicasCount}`;
  return { member: "viewChange", what };
}
