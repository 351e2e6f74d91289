// Everything that an application may import.
export { Chat } from "./chat.ts";
export { ChatError } from "./chat-error.ts";
export { HistoryFork, LogPin } from "./log-pin.ts";
export { KeyTrust } from "./key-trust.ts";
export { KeysChanged, ProofError, verifyCheckpoint, verifyReceipt } from "./receipt.ts";
export { Room } from "./room.ts";
/** Heads of logs that were verified once. */
export type { LogSource, PinnedCheckpoint } from "./log-pin.ts";
/** Rooms as of a seq. */
export type { RoomSnapshot, SnapshotMessage, SnapshotQuery } from "./snapshot.ts";
/** Where trusted keys are kept. */
export type { KeyStore, TrustedKeys } from "./key-trust.ts";
/** What receipts prove, and by which keys. */
export type { ProvenCheckpoint, ProvenEntry, Trusted } from "./receipt.ts";
/** What an application sees. */
export type {
  ChatEntry,
  ChatErrorFacts,
  ChatOptions,
  ChatState,
  Clock,
  LogCheckpoint,
  Page,
  PendingPost,
  PostAck,
  PostType,
  RoomHandlers,
  RoomOptions,
  RoomRole,
  RoomSettings,
  RoomState,
  Skip,
  SocketLike,
  Standing,
  TokenAnswer,
} from "./types.ts";
