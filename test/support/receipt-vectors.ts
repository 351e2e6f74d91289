import { publicKeyHex } from "#replica/crypto/ed25519.ts";
import { sha256Bytes } from "#replica/crypto/hash.ts";
import { formatKeyList } from "#replica/proof/key-list.ts";
import { formatVerifierKey } from "#replica/proof/note.ts";
import { formatReceipt } from "#replica/proof/receipt.ts";
import {
  sampleKeys,
  sampleOrigin,
  sampleShard,
  signedCheckpoint,
  verifierKeys,
} from "./proof-samples.ts";

/**
 * Keys after all three replicas were replaced. The former ones served together until `together`;
 * 0: never, each was replaced before the next one came.
 */
function keyListAfter(together: number): string {
  const tenures = sampleKeys.flatMap((key, replica) => {
    const first = together === 0 ? 10 * replica : 0;
    const last = together === 0 ? 10 * replica + 9 : together;
    const publicKey = (7 + replica).toString(16).padStart(64, "0");
    return [
      { replica, publicKey, ops: { from: last + 1, to: Number.MAX_SAFE_INTEGER } },
      { replica, publicKey: publicKeyHex(key), ops: { from: first, to: last } },
    ];
  });
  return formatKeyList(sha256Bytes, sampleOrigin, tenures);
}

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
    keysAfterReplacements: keyListAfter(100),
    keysThatNeverServedTogether: keyListAfter(0),
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
