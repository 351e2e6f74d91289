// The replica process. Usage: replica --config FILE --replica N --data DIR [--state DIR]
import { readFileSync, writeSync } from "node:fs";
import type { Server } from "node:net";
import { workerData } from "node:worker_threads";
import { parseReplicaConfig, type ReplicaConfig } from "#replica/admin/replica-config.ts";
import { InvariantError } from "#replica/base/assert.ts";
import { completeTiming } from "#replica/base/timing.ts";
import { DiskWriteError } from "#replica/crypto/disk-write-error.ts";
import { makeVolumeKey, selfSignedPem } from "#replica/crypto/volume-key.ts";
import { FileDisk } from "#replica/storage/file-disk.ts";
import { identityUri } from "#replica/transport/tls-identity.ts";
import { adminTlsOptions, makeAdminServer } from "./admin-server.ts";
import { makeDirectory } from "./durable-file.ts";
import { type Flags, parseFlags } from "./flags.ts";
import { Gauges } from "./gauges.ts";
import { makeHealthServer } from "./health-server.ts";
import { leaveLastWords } from "./last-words.ts";
import { Log } from "./log.ts";
import { Meters } from "./meters.ts";
import { Poison } from "./poison.ts";
import { ReplicaProcess } from "./replica-process.ts";
import { readyReason } from "./status.ts";
import { serveTrees, treeThreadRole } from "./tree-thread.ts";
import { version } from "./version.ts";
import { Volume, VolumeError } from "./volume.ts";

/** Exit codes: wrong command line or environment; gave up with a sentence; a bug. */
const exitCodes = { refused: 1, gaveUp: 2, bug: 70 } as const;
/**
 * How long one attempt to give the primary away lasts when the disk is full, ms: the disk asks for
 * another one each second (storage/file-disk.ts), so that this is no timeout of its own.
 */
const fullHandOverMs = 900;
/** Threads of libuv: each WAL write is one job, and DNS must not delay it. */
const threadsMin = 16;
/** Marks a process that was started over by {@link ensureRuntime}. */
const startedOver = "TIGERCHAT_REPLICA_STARTED";
/**
 * MiB: old space that is not collected before it is used, and young space. Buffers count with the
 * heap: by themselves they would cause a full collection for every 64 MB that pass through. Young
 * space is collected by the event loop alone: with helpers it waits for threads that have no core,
 * up to 27 ms where it takes 15 by itself.
 */
const heapFlags = [
  "--initial-heap-size=256",
  "--min-semi-space-size=8",
  "--max-semi-space-size=8",
  "--external-memory-accounted-in-global-limit",
  "--no-parallel-scavenge",
] as const;

function refuse(sentence: string): never {
  writeSync(2, `${sentence}\n`);
  process.exit(exitCodes.refused);
}

/**
 * Starts the program over, in this very process, with what Node reads only at its start: the size
 * of libuv's pool, and a heap that V8 does not collect for every 30 MB of buffers that pass
 * through (a full collection each 80 ms at 50,000 messages a second, measured).
 */
function ensureRuntime(): void {
  if (process.env[startedOver] !== undefined || process.execve === undefined) return;
  const threads = Math.max(threadsMin, Number(process.env["UV_THREADPOOL_SIZE"] ?? 0));
  const pool = { UV_THREADPOOL_SIZE: String(threads) };
  const env = { ...mallocKeeps, ...process.env, ...pool, [startedOver]: "1" };
  const flags = [...process.execArgv, ...heapFlags, "--disable-warning=ExperimentalWarning"];
  const argv = [process.execPath, ...flags, ...process.argv.slice(1)];
  process.execve(process.execPath, argv, env);
}

/** glibc gives every large buffer back to the kernel, which zeroes each page anew: 10 % of CPU. */
const mallocKeeps = {
  MALLOC_MMAP_THRESHOLD_: String(32 * 1024 * 1024),
  MALLOC_TRIM_THRESHOLD_: String(256 * 1024 * 1024),
  MALLOC_TOP_PAD_: String(4 * 1024 * 1024),
} as const;

function readConfig(path: string): ReplicaConfig {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    return refuse(`Cannot read the configuration ${path}: ${messageOf(error)}.`);
  }
  const config = parseReplicaConfig(text);
  return config.ok ? config.value : refuse(`${path}: ${config.sentence}`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function openDisk(directory: string, full: (message: string) => void): FileDisk {
  try {
    makeDirectory(directory);
  } catch (error) {
    return refuse(`Cannot make the data directory ${directory}: ${messageOf(error)}.`);
  }
  const disk = FileDisk.open({ directory, full });
  return disk instanceof FileDisk ? disk : refuse(disk.message);
}

/**
 * Checkpoints wait for room and the ring for checkpoints: a primary whose disk is full would hold
 * up the two others, so it gives its place away. Repeated each second that the disk stays full.
 */
function giveAway(replica: ReplicaProcess): void {
  replica.running?.handOver(fullHandOverMs).catch(() => undefined);
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const inUse = error.code === "EADDRINUSE";
      const what = inUse ? "is in use; stop what listens there" : `cannot be used: ${error.code}`;
      refuse(`Port ${port} of ${host} ${what}.`);
    });
    server.listen(port, host, resolve);
  });
}

/** The process: everything that {@link main} made. */
interface Parts {
  readonly flags: Flags;
  readonly config: ReplicaConfig;
  readonly log: Log;
  readonly replica: ReplicaProcess;
}

/** Serves the admin port; until the first identity call under a key of this process only. */
async function serveAdmin(parts: Parts, onIdentity: (renew: () => void) => void): Promise<void> {
  const { config, flags, log, replica } = parts;
  const passing = makeVolumeKey();
  const tlsNow = () => {
    const key = replica.key ?? passing;
    const cert = replica.chain ?? selfSignedPem(key, replica.uri, Date.now());
    return { key: key.privatePem, cert, ca: replica.trust };
  };
  const operator = identityUri({ role: "operator", cluster: config.cluster });
  const server = makeAdminServer(replica, tlsNow(), operator, log);
  onIdentity(() => server.setSecureContext(adminTlsOptions(tlsNow())));
  const port = config.peers[flags.replica]?.adminPort ?? 0;
  await listen(server, config.listen.host, port);
}

/** Looks at a mounted file now and then; `take` gets each content, false = the same once more. */
function followFile({ config, log }: Parts, path: string, take: (text: string) => boolean): void {
  let seen: string | null = null;
  const look = (): void => {
    let content: string;
    try {
      content = readFileSync(path, "utf8");
    } catch (error) {
      log.warn("file unreadable", { path, error: messageOf(error) });
      return;
    }
    if (content !== seen && take(content)) seen = content;
  };
  setInterval(look, completeTiming(config.timing).filesLookMs).unref();
}

/** Trust bundle and key-encryption key change without a restart. */
function followFiles(parts: Parts): void {
  const { config, log, replica } = parts;
  followFile(parts, config.files.trust, (pem) => {
    if (pem === replica.trust) return true;
    log.info("trust bundle changed");
    replica.setTrust(pem);
    return true;
  });
  followFile(parts, config.files.kek, (kek) => replica.setKek(kek));
}

function followSignals(parts: Parts, gaveUp: () => boolean): void {
  const { log, replica } = parts;
  let stopping = false;
  const stop = (signal: string): void => {
    if (stopping) return;
    stopping = true;
    log.info("stopping", { signal });
    replica
      .close()
      .then(() => {
        if (gaveUp()) return;
        log.info("stopped");
        process.exit(0);
      })
      .catch((error: unknown) => {
        log.error("stop failed", { error: messageOf(error) });
        process.exit(exitCodes.bug);
      });
  };
  process.on("SIGTERM", () => stop("SIGTERM"));
  process.on("SIGINT", () => stop("SIGINT"));
}

async function main(): Promise<void> {
  const parsed = parseFlags(process.argv.slice(2));
  if (!parsed.ok) refuse(parsed.sentence);
  const flags = parsed.value;
  ensureRuntime();
  const config = readConfig(flags.config);
  const base = { shard: config.shard, replica: flags.replica };
  const log = new Log(config.log.level, base, (line) => writeSync(1, line));
  let ended = false;
  const end = (code: number, what: string, sentence: string, facts = {}): void => {
    if (ended) return;
    ended = true;
    log.error(what, { sentence, ...facts });
    leaveLastWords(flags.terminationLog, sentence);
    process.exit(code);
  };
  process.on("uncaughtException", (error) => {
    if (error instanceof DiskWriteError) {
      poisonVolume(error.message);
      return;
    }
    if (error instanceof VolumeError) {
      end(exitCodes.gaveUp, "gave up", error.message);
      return;
    }
    const bug = error instanceof InvariantError ? "invariant broken" : "unexpected error";
    end(exitCodes.bug, bug, messageOf(error), { stack: error.stack });
  });
  const poison = new Poison(flags.state, flags.data);
  const poisonVolume = (why: string): void => {
    poison.set(why);
    end(exitCodes.gaveUp, "poisoned", `The disk failed: ${why}`);
  };
  const disk = openDisk(flags.data, (sentence) => {
    log.error("disk full", { sentence });
    giveAway(replica);
  });
  const meters = new Meters();
  let renew = (): void => undefined;
  const replica = new ReplicaProcess({
    flags,
    config,
    disk,
    log,
    meters,
    volume: new Volume(flags.data),
    poisoned: poison.reason,
    poison: poisonVolume,
    giveUp: (sentence) => end(exitCodes.gaveUp, "gave up", sentence),
    identityChanged: () => renew(),
  });
  const parts = { flags, config, log, replica };
  log.info("starting", { version, node: process.version, data: flags.data });
  followSignals(parts, () => ended);
  followFiles(parts);
  const gauges = new Gauges(meters, replica);
  const health = makeHealthServer({
    ready: () => replica.running?.caughtUp ?? false,
    reason: () => readyReason(replica),
    metrics: () => gauges.text(),
  });
  const metricsPort = config.peers[flags.replica]?.metricsPort ?? 0;
  await listen(health, config.listen.host, metricsPort);
  await serveAdmin(parts, (call) => {
    renew = call;
  });
  await replica.advance();
}

if (workerData === treeThreadRole) serveTrees();
else await main();
