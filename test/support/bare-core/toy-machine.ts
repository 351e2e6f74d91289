import type { Op } from "#replica/base/brands.ts";
import type { BlockAddress } from "#replica/vsr/effect.ts";
import type { Machine } from "#replica/vsr/port.ts";
import type { Prepare } from "#replica/wire/prepare.ts";
import { RequestReader } from "#replica/wire/request.ts";

/** State of the toy machine: how many requests ran, and a running mix of their bodies. */
export interface ToyState {
  readonly op: number;
  readonly count: number;
  readonly mix: number;
}

/** The state before anything ran. */
export const toyGenesis: ToyState = { op: 0, count: 0, mix: 0x12345678 };

/** The reference model: state and reply after one more request. */
export function toyApply(state: ToyState, body: Uint8Array): { next: ToyState; reply: Uint8Array } {
  let mix = state.mix;
  for (const byte of body) mix = Math.imul(mix ^ byte, 0x01000193);
  const next = { op: state.op, count: state.count + 1, mix };
  const reply = new Uint8Array(8);
  const view = new DataView(reply.buffer);
  view.setUint32(0, next.count, true);
  view.setUint32(4, mix >>> 0, true);
  return { next, reply };
}

/** A machine of a few lines behind the real port, with block loads now and then. */
export class ToyMachine implements Machine {
  readonly versions = { min: 1, max: 1 };
  readonly version = 1;
  state: ToyState;
  /** Set by {@link freeze}: what the checkpoint under way holds. */
  frozen: ToyState | null = null;
  /** What ran and was not yet seen by the checkers. */
  readonly executed = new Map<number, Prepare>();

  constructor(state: ToyState) {
    this.state = state;
  }

  needs(prepare: Prepare): readonly BlockAddress[] {
    return prepare.header.op % 7 === 3 ? [{ segment: "toy", block: prepare.header.op }] : [];
  }

  apply(prepare: Prepare, blocks: readonly Uint8Array[]): readonly Uint8Array[] {
    const { op } = prepare.header;
    if (op !== this.state.op + 1) throw new Error(`machine: op ${op} after ${this.state.op}`);
    if (blocks.length !== this.needs(prepare).length) throw new Error("machine: blocks");
    this.executed.set(op, prepare);
    const replies: Uint8Array[] = [];
    let state: ToyState = { ...this.state, op };
    const reader = new RequestReader(prepare.body);
    while (reader.next()) {
      if (reader.session === 0) {
        replies.push(new Uint8Array(0));
        continue;
      }
      const { next, reply } = toyApply(state, reader.body);
      state = next;
      replies.push(reply);
    }
    this.state = state;
    return replies;
  }

  upgrade(version: number): void {
    throw new Error(`machine: version ${version}`);
  }

  freeze(op: Op): void {
    if (op !== this.state.op) throw new Error("machine: freeze at another op");
    this.frozen = this.state;
  }
}
