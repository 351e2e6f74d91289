import { assert } from "#replica/base/assert.ts";
import type { Incarnation, ReplicaIndex } from "#replica/base/brands.ts";
import { mutated } from "#replica/base/mutation.ts";
import { publicKeyFrom } from "#replica/crypto/ed25519.ts";
import type { PeerMember } from "./peer-scope.ts";

declare const MUTATIONS: boolean | undefined;

/** A member, now or once. */
export interface KnownMember {
  readonly replica: number;
  readonly incarnation: string;
  readonly publicKey: string;
  /** Op of the REPLACE or REKEY that made it so; absent or 0 = by genesis. */
  readonly replaceOp?: number;
}

interface Known extends PeerMember {
  readonly replaceOp: number;
}

/**
 * Which key of a member counts for what. A REKEY that is in the log may still be dropped, so until
 * it is executed both keys open connections; from then on the former one is good only for what its
 * owner made at or below that op.
 */
export class MemberKeys {
  /** By the log, prepared or committed. */
  private byLog: readonly Known[] = [];
  /** By what is executed. */
  private settled: readonly Known[] = [];
  /** Executed, now or before. */
  private facts: readonly Known[] = [];

  constructor(
    members: readonly KnownMember[],
    committed: readonly KnownMember[],
    former: readonly KnownMember[],
  ) {
    this.facts = former.map(knownFrom);
    this.set(members, committed);
  }

  /** Members of now; a member is absent while the body of its REPLACE is not known. */
  set(members: readonly KnownMember[], committed: readonly KnownMember[]): void {
    this.byLog = members.map(knownFrom);
    this.settled = committed.map(knownFrom);
    const news = this.settled.filter((one) => !this.facts.some((fact) => same(fact, one)));
    this.facts = [...this.facts, ...news];
  }

  /** The member at an index with the key that nothing can take from it but a later op; or null. */
  member(replica: ReplicaIndex): PeerMember | null {
    const now = at(this.byLog, replica);
    const before = at(this.settled, replica);
    return now !== null && before?.incarnation === now.incarnation ? before : now;
  }

  /** The member at an index with that key, when it counts now; or null. */
  accepted(replica: ReplicaIndex, publicKey: string | null): PeerMember | null {
    const now = at(this.byLog, replica);
    if (now === null || now.publicKey === publicKey) return now;
    const member = this.member(replica);
    return member?.publicKey === publicKey ? member : null;
  }

  /** A member with each key that may have signed that op; none: they are not known any more. */
  authorKeys(replica: ReplicaIndex, incarnation: Incarnation, op: number): readonly PeerMember[] {
    const now = at(this.byLog, replica);
    if (now?.incarnation !== incarnation) return [];
    const own = this.facts.filter((one) => {
      return one.replica === replica && one.incarnation === incarnation && one.replaceOp < op;
    });
    const lenient = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("keep_former_key");
    if (lenient) return own;
    // Of what is executed only the last before the op counts; what is not may be dropped again.
    const last = own.reduce<Known | null>((a, b) => {
      return a === null || b.replaceOp > a.replaceOp ? b : a;
    }, null);
    const keys = last === null ? [] : [last];
    const open = now.replaceOp < op && now.replaceOp > (last?.replaceOp ?? -1);
    return open ? [...keys, now] : keys;
  }
}

function at(members: readonly Known[], replica: ReplicaIndex): Known | null {
  return members.find((one) => one.replica === replica) ?? null;
}

function same(a: Known, b: Known): boolean {
  return a.replica === b.replica && a.publicKey === b.publicKey && a.incarnation === b.incarnation;
}

function knownFrom({ replica, incarnation, publicKey, replaceOp = 0 }: KnownMember): Known {
  const key = publicKeyFrom(publicKey);
  assert(key !== null, "TRN-03: a member's public key is Ed25519");
  return {
    replica: replica as ReplicaIndex,
    incarnation: incarnation as Incarnation,
    publicKey,
    key,
    replaceOp,
  };
}
