import { ProofError } from "@tigerchat/sdk";
import { mintToken } from "./edge-calls.ts";
import { keyTrust, knownLog } from "./history-pin.ts";
import type { Message } from "./message.ts";

/** What the browser found out about a message. */
export interface Check {
  readonly verified: boolean;
  /** One sentence for people. */
  readonly sentence: string;
}

async function textOf(path: string, token: string): Promise<string> {
  const response = await fetch(path, { headers: { authorization: `Bearer ${token}` } });
  if (!response.ok) throw new Error(`The edge gives no proof now (${response.status}).`);
  return await response.text();
}

/** Fetches the receipt of a message and checks it here, in the browser. */
export async function checkMessage(room: string, message: Message): Promise<Check> {
  const path = `/v1/rooms/${encodeURIComponent(room)}`;
  try {
    const token = await mintToken(room);
    const receipt = await textOf(`${path}/proof?seq=${message.seq}`, token);
    const proven = await keyTrust.receipt(receipt, () => textOf(`${path}/keys`, token));
    const log = knownLog(room);
    const same =
      (log === null || log === proven.checkpoint.origin) &&
      proven.room === room &&
      proven.seq === message.seq &&
      proven.key === message.key &&
      proven.from === message.from &&
      (proven.redacted || proven.body === message.original);
    if (!same) return { verified: false, sentence: "The receipt is of another message." };
    const { checkpoint, roomSize, seq } = proven;
    const signers = checkpoint.cosigners.map((name) => name.split("/").at(-1)).join(" and ");
    const sentence =
      `Checked in this browser: entry ${seq} of ${roomSize}, in the signed log of ` +
      `${checkpoint.size} records, cosigned by ${signers}.`;
    return { verified: true, sentence };
  } catch (error) {
    if (error instanceof ProofError) return { verified: false, sentence: error.message };
    const sentence = error instanceof Error ? error.message : "The receipt could not be fetched.";
    return { verified: false, sentence };
  }
}
