import {
  Array as ListOf,
  Boolean as Bool,
  Integer,
  Literal,
  Object as ObjectOf,
  Optional,
  String as Text,
} from "typebox";
import { epochField, positionField, roomField, seqField, timeField, userField } from "./fields.ts";
import { threadField } from "./fields.ts";

const message = ObjectOf(
  {
    seq: seqField,
    t: timeField,
    from: userField,
    parent: Optional(seqField),
    body: Optional(Text({ description: "Text as of the last edit; empty when redacted." })),
    body_b64: Optional(Text({ description: "Base64 of the body where it is not text." })),
    edited: Optional(
      ObjectOf({ seq: seqField, t: timeField }, { description: "The edit whose text this is." }),
    ),
    redacted: Optional(Literal(true, { description: "Its text was destroyed." })),
    redacted_by: Optional(seqField),
    reactions: Optional(
      ListOf(
        ObjectOf(
          { reaction: Text(), users: ListOf(userField) },
          { description: "A reaction and whose it is." },
        ),
      ),
    ),
    thread: Optional(Literal(true, { description: "A thread hangs on it." })),
  },
  { description: "A message as it looked, without its key." },
);

const sanction = ObjectOf({ user: userField, until: timeField }, { description: "Until when." });

/** Answer of GET …/snapshot. */
export const snapshotSchema = ObjectOf(
  {
    room: roomField,
    thread: Optional(threadField),
    epoch: epochField,
    at: positionField,
    from: seqField,
    head: positionField,
    t: timeField,
    settings: Optional(
      ObjectOf(
        { closed: Bool(), readonly: Bool(), fromJoin: Bool(), privateMarkers: Bool() },
        { description: "As in SettingsRequest." },
      ),
    ),
    members: Optional(
      ListOf(
        ObjectOf(
          { user: userField, role: Text(), seq: seqField },
          { description: "A role, and the entry that gave it." },
        ),
        { description: "By user, 500 a page. Who made the room owns it without an entry." },
      ),
    ),
    members_next: Optional(userField),
    bans: Optional(ListOf(sanction, { description: "For staff only." })),
    mutes: Optional(ListOf(sanction, { description: "For staff only." })),
    messages: ListOf(message, { description: "In rising seq: the last ones below `before`." }),
    before: Integer({ minimum: 0, description: "For the page before; 0 = there is none." }),
  },
  {
    description:
      "What entries `from`..`at` add up to, as this viewer sees it. `t`: log time of entry `at`. " +
      "Entries after `at` follow by `read`, `attach` with since {epoch, seq: at}, or `stream`.",
  },
);
