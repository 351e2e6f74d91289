import assert from "node:assert/strict";
import type { GenesisRecord } from "#operator/policy/observed.ts";
import type { RoomShard } from "#operator/api/room-shard.ts";
import { type Daemon, logTail } from "../process/daemon.ts";
import { waitFor } from "../process/wait.ts";
import { EdgeOfTest } from "./edge-of-test.ts";
import { genesisOf } from "./forming-scenarios.ts";
import type { Scenario } from "./scenario.ts";
import type { Stage } from "./stage.ts";

/** Milliseconds that one who writes may wait for an answer while nobody dies but the operator. */
const gapMaxMs = 3_000;

function keysUpToDate({ status }: RoomShard) {
  return status?.conditions?.find(({ type }) => type === "KeysUpToDate");
}

async function ask(stage: Stage, word: string): Promise<void> {
  const asked = word === "" ? "tigerchat.dev/rotate-key-" : `tigerchat.dev/rotate-key=${word}`;
  await stage.kubectl.run("annotate", "--overwrite", "rsh", "lobby", asked);
}

/** Waits until a word is done; the shard then. */
async function rotated(stage: Stage, word: string): Promise<RoomShard> {
  return stage.shardThat("lobby", `${word} done`, (shard) => {
    const { reason, message = "" } = keysUpToDate(shard) ?? {};
    return reason === "KeyRotated" && message.includes(`rotate-key=${word} `);
  });
}

async function record(stage: Stage): Promise<GenesisRecord> {
  return (await genesisOf(stage)) as GenesisRecord;
}

/** Keys as the replicas say, by replica; held against those that the claims record. */
async function keysOf(stage: Stage, { status }: RoomShard): Promise<readonly string[]> {
  const keys = (status?.members ?? []).map(({ publicKey = "" }) => publicKey);
  const voters = (await record(stage)).members.map(({ publicKey }) => publicKey);
  assert.deepEqual(keys, voters, "the claims name the keys that the replicas have");
  return keys;
}

/** Somebody who writes all the time, one message after another. */
class Writer {
  readonly written: string[] = [];
  longestMs = 0;
  private stopped = false;
  private readonly edge: EdgeOfTest;
  private readonly room: string;
  private readonly work: Promise<void>;

  constructor(edge: EdgeOfTest, room: string) {
    this.edge = edge;
    this.room = room;
    this.work = this.write();
  }

  private async write(): Promise<void> {
    for (let turn = 0; !this.stopped; turn += 1) {
      const startMs = performance.now();
      const text = `message ${turn}`;
      await this.edge.write(this.room, text);
      this.written.push(text);
      this.longestMs = Math.max(this.longestMs, performance.now() - startMs);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Stops; everything is there once, in its order, and nobody waited for long. */
  async finish(): Promise<void> {
    this.stopped = true;
    await this.work;
    assert.deepEqual(await this.edge.read(this.room), this.written);
    assert.ok(this.longestMs < gapMaxMs, `${this.longestMs} ms without an answer`);
  }
}

/** Writes to a room meanwhile; the pods are the same afterwards, none restarted. */
async function whileWriting(stage: Stage, room: string, run: () => Promise<void>): Promise<void> {
  const restarts = () =>
    stage.kubectl.run(
      ...["get", "pods", "-o", "jsonpath={.items[*].status.containerStatuses[0].restartCount}"],
    );
  const [pods, before] = [await stage.podUids("lobby"), await restarts()];
  const edge = await EdgeOfTest.open(stage);
  const writer = new Writer(edge, room);
  try {
    await run();
    await writer.finish();
  } finally {
    edge.close();
  }
  assert.deepEqual(await stage.podUids("lobby"), pods);
  assert.equal(await restarts(), before);
}

async function waitForLine(daemon: Daemon | undefined, text: string): Promise<void> {
  assert.ok(daemon !== undefined);
  const before = logTail(daemon, 1_000).split(text).length;
  const said = async () => logTail(daemon, 1_000).split(text).length > before;
  await waitFor(`a line: ${text}`, 30_000, said, { intervalMs: 5 });
}

/** Another key of a replica, on a person's word. */
export const rotationScenarios: readonly Scenario[] = [
  {
    name: "each replica's own key changes on a person's word, under load, the primary's too",
    run: async (stage) => {
      let shard = await stage.shardThat("lobby", "keys at rest", (one) => {
        return keysUpToDate(one)?.reason === "NoneAsked" && one.status?.phase === "Serving";
      });
      await whileWriting(stage, "keys", async () => {
        for (const replica of [0, 1, 2]) {
          const before = await keysOf(stage, shard);
          await ask(stage, String(replica));
          shard = await rotated(stage, String(replica));
          const after = await keysOf(stage, shard);
          for (const [index, key] of after.entries()) {
            assert.equal(key !== before[index], index === replica, `key of replica ${index}`);
          }
        }
      });
      const incarnations = shard.status?.members?.map(({ incarnation }) => incarnation);
      const known = (await record(stage)).members.map(({ incarnation }) => incarnation);
      assert.deepEqual(incarnations, known, "the volumes are the same");
    },
  },

  {
    name: "the operator is killed amid a change of key: its successor finishes that very one",
    run: async (stage) => {
      const shard = await rotated(stage, "2");
      const [, former] = await keysOf(stage, shard);
      await whileWriting(stage, "kill", async () => {
        const made = waitForLine(stage.operator, `Replica 1 goes from key ${former} to`);
        await ask(stage, "1-b");
        await made;
        await stage.killOperator();
        const { rotation } = await record(stage);
        assert.ok(rotation !== undefined && rotation.request === "1-b");
        assert.deepEqual([rotation.retire, rotation.done], [former, false]);
        await stage.startOperator();
        const [, now] = await keysOf(stage, await rotated(stage, "1-b"));
        assert.equal(now, rotation.next, "one key was made, not two");
        // Before anything is written down: the replica alone knows that it has a next key.
        const begun = waitForLine(stage.kubelet.pod("lobby-0")?.process, "next key made");
        await ask(stage, "0-b");
        await begun;
        await stage.killOperator();
        await stage.startOperator();
        await keysOf(stage, await rotated(stage, "0-b"));
      });
      const events = await stage.kubectl.run("events", "--for", "roomshard/lobby");
      assert.match(events, /KeyMade/);
      assert.match(events, /KeyRotated/);
      assert.doesNotMatch(events, /IdentityRefused/);
    },
  },

  {
    name: "a word that names no replica is answered; one that is taken back may come again",
    run: async (stage) => {
      await ask(stage, "lobby-1");
      const refused = await stage.shardThat("lobby", "a refused word", (one) => {
        return keysUpToDate(one)?.reason === "NoSuchReplica";
      });
      assert.match(keysUpToDate(refused)?.message ?? "", /rotate-key is "lobby-1"; give it/);
      await waitFor("an Event about it", 10_000, async () => {
        const events = await stage.kubectl.run("events", "--for", "roomshard/lobby");
        return events.includes("NoSuchReplica");
      });
      await ask(stage, "");
      const rest = await stage.shardThat("lobby", "no word", (one) => {
        return keysUpToDate(one)?.reason === "NoneAsked";
      });
      await waitFor("the claims to forget", 10_000, async () => {
        return (await record(stage)).rotation === undefined;
      });
      const [, , before] = await keysOf(stage, rest);
      await ask(stage, "2");
      // As operator/README.md says to.
      const path = '{.status.conditions[?(@.type=="KeysUpToDate")].reason}';
      const until = `--for=jsonpath=${path}=KeyRotated`;
      await stage.kubectl.run("wait", "rsh/lobby", until, "--timeout=60s");
      const [, , after] = await keysOf(stage, await rotated(stage, "2"));
      assert.notEqual(after, before);
      await ask(stage, "");
    },
  },
];
