import { type ReplicaIndex, replicaFrom } from "#replica/base/brands.ts";
import type { ClientMessage, ServerMessage } from "#replica/wire/client-message.ts";
import type { Heap } from "./heap.ts";
import type { SimNode } from "./sim-node.ts";

/** One connection of an edge to a replica: in order, both ways, until it is closed. */
export interface Connection {
  readonly id: number;
  readonly to: ReplicaIndex;
  /** Changes when the replica's state was replaced by a sync: pushes may skip then. */
  readonly epoch: () => number;
}

/** What the edge does with a connection's events. */
export interface ConnectionEvents {
  received(from: Connection, message: ServerMessage): void;
  closed(from: Connection): void;
}

interface Open extends Connection {
  readonly life: number;
  readonly events: ConnectionEvents;
  open: boolean;
  toNodeMs: number;
  toEdgeMs: number;
}

/** All connections between edges and replicas. */
export class Connections {
  private readonly heap: Heap;
  private readonly nodes: readonly SimNode[];
  private readonly delayMs: () => number;
  private readonly all = new Map<number, Open>();
  private idNext = 1;

  constructor(heap: Heap, nodes: readonly SimNode[], delayMs: () => number) {
    this.heap = heap;
    this.nodes = nodes;
    this.delayMs = delayMs;
  }

  /** Connects to a replica, or null when it does not listen. */
  open(to: ReplicaIndex, events: ConnectionEvents): Connection | null {
    const node = this.nodes[to];
    if (node === undefined || node.host === null) return null;
    const id = this.idNext;
    this.idNext += 1;
    const { nowMs } = this.heap;
    const epoch = (): number => id * 1000 + node.syncs;
    const { life } = node;
    const made: Open = {
      id,
      to,
      epoch,
      life,
      events,
      open: true,
      toNodeMs: nowMs,
      toEdgeMs: nowMs,
    };
    this.all.set(id, made);
    return made;
  }

  /** Towards the replica. */
  send(link: Connection, message: ClientMessage): void {
    const open = this.all.get(link.id);
    const node = this.nodes[link.to];
    if (open === undefined || node === undefined) return;
    open.toNodeMs = Math.max(open.toNodeMs, this.heap.nowMs + this.delayMs());
    this.heap.at(open.toNodeMs, () => {
      if (!open.open || node.life !== open.life) return;
      node.clientMessage(open.id, message, () => this.close(open));
    });
  }

  /** Towards the edge. */
  answer(id: number, message: ServerMessage): void {
    const open = this.all.get(id);
    if (open === undefined) return;
    open.toEdgeMs = Math.max(open.toEdgeMs, this.heap.nowMs + this.delayMs());
    this.heap.at(open.toEdgeMs, () => {
      if (open.open) open.events.received(open, message);
    });
  }

  /** Both sides notice, each in its time; what was under way is lost. */
  close(link: Connection): void {
    const open = this.all.get(link.id);
    if (open === undefined) return;
    this.all.delete(link.id);
    open.open = false;
    const node = this.nodes[link.to];
    this.heap.after(this.delayMs(), () => {
      if (node?.life === open.life) node.clientGone(open.id);
    });
    this.heap.after(this.delayMs(), () => open.events.closed(open));
  }

  /** A process ended: all its connections close. */
  ended(index: ReplicaIndex): void {
    for (const open of [...this.all.values()]) {
      if (open.to === replicaFrom(index)) this.close(open);
    }
  }
}
