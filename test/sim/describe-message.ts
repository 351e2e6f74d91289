import type { PeerMessage } from "#replica/wire/peer-message.ts";

/** One line about a message: kind, view, and what decides. */
export function describeMessage(message: PeerMessage): string {
  const head = `${message.kind} v${message.view}`;
  switch (message.kind) {
    case "prepare":
      return `${head} op ${message.prepare.header.op} of view ${message.prepare.header.view}`;
    case "prepare_ok":
      return `${head} op ${message.op} min ${message.commitMin} cp ${message.checkpointOp}`;
    case "commit":
      return `${head} max ${message.commitMax} q ${message.quorumCheckpointOp}`;
    case "do_view_change": {
      const bits = message.headers.map((header, i) => {
        const flag = message.present[i] === true ? "p" : message.nack[i] === true ? "n" : "-";
        return `${header === null ? "?" : header.view}${flag}`;
      });
      const range = `op ${message.op} min ${message.commitMin} max ${message.commitMax}`;
      return `${head} log_view ${message.logView} ${range} [${bits.join(" ")}]`;
    }
    case "start_view":
      return `${head} op ${message.op} max ${message.commitMax} nonce ${message.nonce}`;
    case "get_prepare":
      return `${head} op ${message.op}`;
    case "get_headers":
      return `${head} ${message.opFirst}..${message.opLast}`;
    case "get_chunk":
    case "chunk":
      return `${head} ${message.segment || "manifest"} block ${message.block}`;
    default:
      return head;
  }
}
