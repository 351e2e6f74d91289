import { formatVerifierKey } from "#replica/proof/note.ts";
import { formatReceipt } from "#replica/proof/receipt.ts";
import { sampleShard, signedCheckpoint, verifierKeys } from "./proof-samples.ts";

/** Receipts that hold and receipts that do not, for the SDKs of every language. */
export function receiptVectors() {
  const shard = sampleShard(11);
  const receipt = shard.receiptOf(5);
  const few = signedCheckpoint(7, shard.logRoot, [2]);
  const head = 48 + (receipt.entry[2] ?? 0);
  const other = { tenant: "acme", room: "other" };
  const altered = receipt.entry.slice();
  altered[head + 17] = (altered[head + 17] ?? 0) ^ 1;
  const keysOf = (origin?: string): string =>
    verifierKeys(origin).map(formatVerifierKey).join("\n");
  return {
    keys: keysOf(),
    keysOfAnotherLog: keysOf("tigerchat.dev/other/log/1"),
    checkpoint: shard.checkpoint,
    right: [1, 2, 8, 11].map((seq) => ({
      seq,
      body: `message ${seq}`,
      from: seq % 2 === 1 ? "ann" : "bob",
      text: shard.receipt(seq),
    })),
    wrong: [
      { why: "one cosigner only", text: formatReceipt({ ...receipt, checkpoint: few }) },
      { why: "another room", text: formatReceipt({ ...receipt, name: other }) },
      { why: "a bit of the body", text: formatReceipt({ ...receipt, entry: altered }) },
      { why: "a larger room", text: formatReceipt({ ...receipt, roomSize: 12 }) },
      { why: "another place in the log", text: formatReceipt({ ...receipt, logIndex: 4 }) },
      {
        why: "a hash too few",
        text: formatReceipt({ ...receipt, logProof: receipt.logProof.slice(1) }),
      },
      { why: "nothing", text: "" },
    ],
  };
}
