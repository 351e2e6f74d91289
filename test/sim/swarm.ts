import { Prng } from "#replica/base/prng.ts";

/** How bad the network between machines is in a run. */
export interface NetworkMix {
  readonly delayMinMs: number;
  /** Mean of the exponential part of the one-way delay: reorders. */
  readonly delayMeanMs: number;
  readonly loss: number;
  readonly duplication: number;
  /** Probability that a message finds its path clogged for up to a second. */
  readonly clog: number;
  /** Messages under way on one path at most; more are dropped. */
  readonly capacity: number;
}

/** How bad the disks of a run are. Probabilities are of one call. */
export interface DiskMix {
  readonly minMs: number;
  readonly meanMs: number;
  /** Probability that a call takes up to two seconds. */
  readonly spike: number;
  readonly readError: number;
  readonly readFlip: number;
  readonly writeError: number;
  readonly lostWrite: number;
  readonly misdirected: number;
}

/** What befalls the files of wrapped data keys. Probabilities are of one call. */
export interface KeyFaults {
  readonly lostWrite: number;
  /** Power fails while the process waits for a write of them. */
  readonly powerCut: number;
  /** A start finds another shard's key-encryption file. */
  readonly wrongKek: number;
  /** Mean time between two copies that decay, ms. */
  readonly decayMs: number;
}

/** Everything that a seed decides about a run before it starts: each run has its own mix. */
export interface Swarm {
  readonly walSlots: number;
  readonly slotBytes: number;
  readonly edges: number;
  readonly authors: number;
  /** Bodies as large as a request may be. */
  readonly bulky: boolean;
  readonly requestsEach: number;
  readonly requestBytesMax: number;
  readonly rooms: number;
  readonly thinkMs: number;
  readonly depth: number;
  readonly lingerMs: number;
  /** Bytes of history that the machine keeps in memory: 0 = reads and retries load blocks. */
  readonly cacheBytes: number;
  /** Remembered keys that the machine holds loosely; more become runs, which are merged. */
  readonly looseKeysMax: number;
  /** Pace of the scrubs of disks; 0 = none. */
  readonly scrubBytesPerS: number;
  readonly network: NetworkMix;
  readonly disk: DiskMix;
  readonly keyFaults: KeyFaults;
  /** Mean time between two faults of a kind, ms; Infinity = never in this run. */
  readonly every: {
    readonly crash: number;
    readonly powerLoss: number;
    readonly partition: number;
    readonly pause: number;
    readonly stall: number;
    readonly decay: number;
    readonly transfer: number;
    readonly lostDisk: number;
    readonly clockStep: number;
    readonly edgeCrash: number;
    readonly reset: number;
    /** The key-encryption key changes under all processes. */
    readonly rewrap: number;
    /** A day in which nothing happens. */
    readonly day: number;
  };
  readonly driftMax: number;
  /** Probability that a crash hits while a machine is down already. */
  readonly doubleCrash: number;
  readonly downMeanMs: number;
  /** The one machine whose disk may fail anywhere; -1: every slot has a victim of its own. */
  readonly badMachine: number;
  /** The bad machine's volume goes back to an older copy before any other fault. */
  readonly rollback: boolean;
  /** From a machine's loss to the operator's first try to replace it, ms; Infinity = never. */
  readonly replaceAfterMs: number;
  /** When the operator replaces the bad machine though it is alive, ms; Infinity = never. */
  readonly retireAtMs: number;
  /** From the start to the first look of who upgrades the machine, ms; Infinity = never. */
  readonly upgradeAfterMs: number;
  /** The processes begin with a build that knows the oldest version of the machine only. */
  readonly oldBuilds: boolean;
  /** Probability of one look that a process is restarted with the older build, by mistake. */
  readonly wrongBuild: number;
  /** Messages travel as encoded, signed frames, some of them damaged. */
  readonly frames: boolean;
  /** Entries are hashed, heads of the log signed, edges ask for receipts. */
  readonly proofs: boolean;
  /** False: nobody's key changes, whatever the seed (directed scenarios). */
  readonly keysChange?: false;
  readonly safetyMs: number;
  readonly livenessMs: number;
}

/** Share of the runs whose mix is {@link overwriting}. */
const overwritingShare = 0.06;

/** Bytes of a prepare's body that fit the units of one slot. */
export function bodyRoom(slotBytes: number): number {
  return (slotBytes / 4096) * 4032 - 400;
}

function networkMix(prng: Prng): NetworkMix {
  return {
    delayMinMs: prng.pick([0.05, 0.5, 2]),
    delayMeanMs: prng.pick([0.1, 1, 4, 15]),
    loss: prng.pick([0, 0, 0.01, 0.05, 0.2]),
    duplication: prng.pick([0, 0.01, 0.2, 0.5]),
    clog: prng.pick([0, 0, 0.002, 0.02]),
    capacity: prng.pick([1000, 1000, 64, 16]),
  };
}

function diskMix(prng: Prng): DiskMix {
  const some = (probability: number, ...values: number[]): number => {
    const value = prng.pick(values);
    return prng.chance(probability) ? value : 0;
  };
  return {
    minMs: 0.1,
    meanMs: prng.pick([0.2, 1, 5, 12]),
    spike: some(0.1, 0.002, 0.01),
    readError: some(0.15, 0.01, 0.05),
    readFlip: some(0.15, 0.01, 0.05),
    writeError: some(0.06, 0.001, 0.005),
    lostWrite: some(0.15, 0.005, 0.03),
    misdirected: some(0.15, 0.005, 0.03),
  };
}

/**
 * Logs that lose their ends, over and over, to prepares of several units, which tear: requests of a
 * quarter of a slot and more on slow disks, primaries that are cut off while they take them, and
 * crashes just as often. Rare in other mixes: a write that tears where a view dropped an op.
 */
function overwriting(swarm: Swarm): Swarm {
  const authors = 7;
  const slotBytes = 32 * 1024;
  return {
    ...swarm,
    slotBytes,
    authors,
    bulky: true,
    requestsEach: 15,
    requestBytesMax: 15_000,
    thinkMs: 0,
    depth: 8,
    disk: { ...swarm.disk, meanMs: 25 },
    every: { ...swarm.every, crash: 150, powerLoss: 700, partition: 200 },
    downMeanMs: 20,
    rollback: false,
  };
}

function keyFaultsOf(prng: Prng): KeyFaults {
  const some = prng.chance(0.4);
  return {
    lostWrite: some ? prng.pick([0, 0.1, 0.3]) : 0,
    powerCut: some ? prng.pick([0, 0.03, 0.1]) : 0,
    wrongKek: some ? 0.2 : 0,
    decayMs: some ? prng.pick([100, 400, Infinity]) : Infinity,
  };
}

/** The mix of a seed. */
export function swarmOf(seed: number): Swarm {
  const mix = mixOf(seed);
  return new Prng(seed + 10).chance(overwritingShare) ? overwriting(mix) : mix;
}

function mixOf(seed: number): Swarm {
  const prng = new Prng(seed);
  const every = (probability: number, ...means: number[]): number => {
    const mean = prng.pick(means);
    return prng.chance(probability) ? mean : Infinity;
  };
  const edges = prng.between(1, 3);
  // Prepares of several units can tear.
  const bulky = prng.chance(0.25);
  const authors = bulky ? 3 : prng.between(3, 7);
  const slotBytes = (bulky ? 32 : 16) * 1024;
  // A request fits a slot with others beside it.
  const requestBytesMax = Math.floor(bodyRoom(slotBytes) / (3 * authors)) - 100;
  const badMachine = prng.between(-1, 2);
  const rollback = badMachine >= 0 && prng.chance(0.06);
  // Drawn apart, so that what a seed meant before stays what it means.
  const days = new Prng(seed + 4);
  const state = new Prng(seed + 5);
  return {
    // Checkpoints of 9 ops: three of them, all that a machine may hold back, fit the ring.
    walSlots: 34,
    slotBytes,
    edges,
    authors,
    bulky,
    requestsEach: Math.ceil(prng.between(80, 130) / authors),
    requestBytesMax,
    rooms: prng.between(1, 3),
    thinkMs: rollback ? 150 : prng.pick([0, 0, 2, 30]),
    depth: prng.pick([1, 2, 8, 8]),
    lingerMs: prng.pick([0, 1]),
    cacheBytes: prng.pick([0, 0, 1 << 20]),
    looseKeysMax: state.pick([1 << 20, 1 << 20, 2, 16]),
    scrubBytesPerS: state.pick([0, 0, 0, 4_000_000]),
    keyFaults: keyFaultsOf(new Prng(seed + 11)),
    network: networkMix(prng),
    disk: { ...diskMix(prng), ...(state.chance(0.08) ? { writeError: 0.02 } : {}) },
    every: {
      crash: every(0.75, 150, 400, 1200),
      powerLoss: every(0.2, 900, 2500),
      partition: every(0.5, 200, 600),
      pause: every(0.3, 300, 800),
      stall: every(0.3, 50, 200),
      decay: every(0.4, 50, 300),
      transfer: every(0.35, 15, 40, 200, 700),
      lostDisk: every(0.12, 300, 1500),
      clockStep: every(0.3, 100, 1000),
      edgeCrash: every(0.4, 200, 1000),
      reset: every(0.4, 50, 400),
      rewrap: state.pick([Infinity, Infinity, 300, 1500]),
      day: days.chance(0.25) ? 1000 : Infinity,
    },
    driftMax: prng.pick([0, 0, 0.0002, 0.01]),
    doubleCrash: prng.pick([0, 0.3, 1]),
    downMeanMs: prng.pick([20, 150, 600]),
    badMachine,
    rollback,
    replaceAfterMs: prng.pick([50, 300, 300, Infinity]),
    retireAtMs: state.chance(0.15) && !rollback ? state.pick([100, 300, 1000]) : Infinity,
    frames: prng.chance(0.06),
    upgradeAfterMs: prng.pick([0, 50, 300, 1000, Infinity, Infinity]),
    oldBuilds: prng.chance(0.5),
    wrongBuild: prng.pick([0, 0, 0.05]),
    proofs: prng.chance(0.4),
    safetyMs: 6000,
    livenessMs: 20_000,
  };
}
