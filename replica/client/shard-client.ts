/** State machine of a client's side of one shard's sessions. */
export class ShardClient {}
