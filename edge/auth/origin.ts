/**
 * Whether a browser's page of that origin may talk to us. Absent: not a browser's page, the token
 * in the frame decides. `null` (sandboxed, data:) never. Same origin always. Else the allow-list.
 * Against cross-site WebSocket hijacking; RFC 6454, RFC 6455 section 10.2.
 */
export function originAllowed(
  origin: string | undefined,
  host: string | undefined,
  allowed: readonly string[],
): boolean {
  if (origin === undefined) return true;
  if (origin === "null" || origin === "") return false;
  if (host !== undefined && (origin === `http://${host}` || origin === `https://${host}`)) {
    return true;
  }
  return allowed.includes(origin);
}
