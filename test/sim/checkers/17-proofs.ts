import { seqFrom, timestampFrom } from "#replica/base/brands.ts";
import { bytesEqual, hexFrom } from "#replica/base/bytes.ts";
import { utf8From } from "#replica/base/text.ts";
import {
  type Checkpoint,
  cosignerName,
  cosignersMinDefault,
  verifyCheckpoint,
} from "#replica/proof/checkpoint.ts";
import { verifyExtends } from "#replica/proof/consistency.ts";
import { parseLogProof } from "#replica/proof/log-proof.ts";
import { type ProofCrypto, signatureTypes, type VerifierKey } from "#replica/proof/note.ts";
import { verifierKeyOf } from "#replica/proof/note.ts";
import { entryLeaf, parseObject, verifyReceipt } from "#replica/proof/receipt.ts";
import { encodeEntry, type EntryType } from "#replica/wire/entry.ts";
import type { ModelEntry } from "#test/model/machine-model.ts";
import { Violation } from "./subject.ts";

/** An entry of the model with what the model does not know of it. */
export interface KeyedEntry {
  readonly entry: ModelEntry;
  readonly key: Uint8Array;
  readonly salt: Uint8Array;
}

/**
 * Checker 17: every receipt that an edge gets verifies, names the committed entry, and leads to the
 * root of a tree that is computed here from the model's entries; all checkpoints of one size have
 * one root, and each that an edge gets extends the one it had (no fork); no replica signs a head
 * that it has not made durable, nor two roots of one size.
 */
export class ProofJudge {
  /** Receipts, checkpoints and consistency proofs that were looked at. */
  looked = 0;
  private readonly tools: ProofCrypto;
  private readonly origin: string;
  private readonly keys: VerifierKey[] = [];
  private readonly members = new Set<string>();
  /** Entries of each room by tenant, a space, and name; leaves are hashed when they are needed. */
  private readonly entries = new Map<string, KeyedEntry[]>();
  private readonly leaves = new Map<string, Uint8Array[]>();
  private readonly roots = new Map<number, string>();

  constructor(tools: ProofCrypto, origin: string) {
    this.tools = tools;
    this.origin = origin;
  }

  /** A replica's key, from now on. */
  member(replica: number, publicKey: Uint8Array): void {
    const name = `${replica} ${hexFrom(publicKey)}`;
    if (this.members.has(name)) return;
    this.members.add(name);
    const { sha256 } = this.tools;
    const { ed25519, cosignature } = signatureTypes;
    const cosigner = cosignerName(this.origin, replica);
    this.keys.push(verifierKeyOf(sha256, this.origin, ed25519, publicKey));
    this.keys.push(verifierKeyOf(sha256, cosigner, cosignature, publicKey));
  }

  /** An entry was committed. */
  entered(room: string, entry: KeyedEntry): void {
    const known = this.entries.get(room) ?? [];
    this.entries.set(room, known);
    known.push(entry);
  }

  /** A replica signs a head; `durable`: size of the head that it will remember after a crash. */
  signed(replica: number, size: number, root: string, durable: number): void {
    if (size > durable)
      throw new Violation(`17 proofs: replica ${replica} signs before it is durable`);
    this.head({ size, root: root });
  }

  /** An edge got a receipt. */
  receipt(room: string, seq: number, text: string): void {
    const verified = verifyReceipt(this.tools, text, this.policy());
    if (!verified.ok) this.fail(`receipt of ${room} ${seq}: ${verified.reason}`);
    const { entry, name, roomSize, checkpoint } = verified.value;
    const wanted = this.entries.get(room)?.[seq - 1]?.entry;
    const same = entry.seq === seq && `${name.tenant} ${name.room}` === room;
    if (!same || wanted === undefined) this.fail(`receipt of another entry than ${room} ${seq}`);
    if (entry.sender !== wanted.sender || entry.timeUs !== wanted.timeUs) {
      this.fail(`receipt of ${room} ${seq} is of another entry`);
    }
    const leaves = this.leavesOf(room).slice(0, roomSize);
    if (leaves.length !== roomSize) this.fail(`receipt over ${roomSize} entries of ${room}`);
    if (!bytesEqual(this.provenRoot(text, leaves, seq), this.rootOf(leaves))) {
      this.fail(`receipt of ${room} ${seq} leads to another tree of ${roomSize} entries`);
    }
    this.checkpointSeen(checkpoint);
  }

  /** An edge got a checkpoint; the checkpoint. */
  checkpoint(text: string): Checkpoint {
    const verified = verifyCheckpoint(this.tools, text, this.policy());
    if (!verified.ok) this.fail(`checkpoint: ${verified.reason}`);
    this.checkpointSeen(verified.value);
    return verified.value;
  }

  /** An edge that knows a checkpoint got a proof that a newer one extends it; the newer. */
  consistency(known: Checkpoint, text: string): Checkpoint {
    const verified = verifyExtends(this.tools, known, text, this.policy());
    // A replica that lags behind the one that was asked before.
    if (!verified.ok && verified.reason === "older") return known;
    if (!verified.ok) this.fail(`checkpoints of ${known.size} leaves and more: ${verified.reason}`);
    this.checkpointSeen(verified.value);
    return verified.value;
  }

  private checkpointSeen(checkpoint: Checkpoint): void {
    this.looked += 1;
    if (checkpoint.origin !== this.origin) this.fail(`checkpoint of ${checkpoint.origin}`);
    this.head({ size: checkpoint.size, root: hexFrom(checkpoint.root) });
  }

  private head({ size, root }: { readonly size: number; readonly root: string }): void {
    const known = this.roots.get(size);
    if (known === undefined) this.roots.set(size, root);
    else if (known !== root) this.fail(`fork: two roots of ${size} leaves`);
  }

  private policy(): { readonly cosignersMin: number; readonly keys: readonly VerifierKey[] } {
    return { cosignersMin: cosignersMinDefault, keys: this.keys };
  }

  /** Root that the receipt's path gives for the leaf computed here. */
  private provenRoot(text: string, leaves: readonly Uint8Array[], seq: number): Uint8Array {
    const proof = parseLogProof(text);
    const extra = proof.ok ? proof.value.extra : null;
    const path = extra === null ? null : parseObject(new TextDecoder().decode(extra))?.["proof"];
    if (!Array.isArray(path)) this.fail("a receipt without a path");
    let hash = leaves[seq - 1] ?? new Uint8Array(0);
    let index = seq - 1;
    let last = leaves.length - 1;
    // RFC 9162, 2.1.3.2.
    for (const step of path as readonly string[]) {
      const sibling = new Uint8Array(Buffer.from(step, "base64"));
      if (index % 2 === 1 || index === last) {
        hash = this.node(sibling, hash);
        while (index % 2 === 0 && index > 0) {
          index = index >> 1;
          last = last >> 1;
        }
      } else hash = this.node(hash, sibling);
      index = index >> 1;
      last = last >> 1;
    }
    return hash;
  }

  /** RFC 6962, 2.1: the tree head of these leaves. */
  private rootOf(leaves: readonly Uint8Array[]): Uint8Array {
    const [only] = leaves;
    if (only === undefined) return this.tools.sha256(new Uint8Array(0));
    if (leaves.length === 1) return only;
    let split = 1;
    while (2 * split < leaves.length) split *= 2;
    return this.node(this.rootOf(leaves.slice(0, split)), this.rootOf(leaves.slice(split)));
  }

  private node(left: Uint8Array, right: Uint8Array): Uint8Array {
    return this.tools.sha256(Uint8Array.of(1, ...left, ...right));
  }

  private leavesOf(room: string): readonly Uint8Array[] {
    const leaves = this.leaves.get(room) ?? [];
    this.leaves.set(room, leaves);
    const [tenant = "", name = ""] = room.split(" ");
    for (const { entry, key, salt } of (this.entries.get(room) ?? []).slice(leaves.length)) {
      const { seq, timeUs, sender, type, parent, body, authority, shown } = entry;
      const bytes = encodeEntry({
        type: type as EntryType,
        redacted: false,
        ...(shown === "all" ? {} : { visibility: shown }),
        ...(authority ? { authority } : {}),
        epoch: 1,
        seq: seqFrom(seq),
        timeUs: timestampFrom(timeUs),
        sender,
        key,
        parent: seqFrom(parent),
        salt,
        body: utf8From(body),
      });
      leaves.push(entryLeaf(this.tools, { tenant, room: name }, bytes));
    }
    return leaves;
  }

  private fail(what: string): never {
    throw new Violation(`17 proofs: ${what}`);
  }
}
