// Which bodies and parents the model takes for which type of entry.
import type { ModelPost } from "./machine-model.ts";

/** Members of a `settings` body, in their order. */
export const names = ["closed", "readonly", "fromJoin", "privateMarkers"];
/** Body of a `member` entry. */
export const memberPattern =
  /^\{"user":"([^"\\]+)","role":"(none|reader|member|moderator|owner)"\}$/;
/** Body of a `ban` or `mute` entry. */
export const sanctionPattern = /^\{"user":"([^"\\]+)","until":(0|[1-9][0-9]{0,15})\}$/;
/** Body of a `settings` entry. */
export const settingsPattern = new RegExp(
  `^\\{${names.map((n) => `"${n}":(true|false)`).join()}\\}$`,
);

/** True when parent and body are of the kind that the type asks for. */
export function fits(operation: ModelPost): boolean {
  const { type, parent, body } = operation;
  switch (type) {
    case "message":
      return true;
    case "edit":
      return parent > 0;
    case "redact":
      return parent > 0 && new TextEncoder().encode(body).length <= 1024;
    case "react":
    case "unreact":
      return parent > 0 && body !== "" && new TextEncoder().encode(body).length <= 64;
    case "marker":
      return parent > 0 && body === "";
    case "member":
      return parent === 0 && memberPattern.test(body);
    case "ban":
    case "mute":
      return parent === 0 && sanctionPattern.test(body);
    case "settings":
      return parent === 0 && settingsPattern.test(body);
    default:
      return false;
  }
}
