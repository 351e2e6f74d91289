import { diskUnitBytes } from "#replica/base/limits.ts";
import { textFromUtf8, utf8From } from "#replica/base/text.ts";

// One unit: magic u32, text bytes u32, text (at most 512 bytes), zeros, CRC-32 of the first 4,092.
const magic = 0x53504754; // "TGPS"
const textAt = 8;
const textBytesMax = 512;
const crcAt = diskUnitBytes - 4;

interface Crc {
  readonly crc32: (bytes: Uint8Array) => number;
}

/** The unit that says, inside the volume, that it is lost and why. */
export function encodePoisonMark(tools: Crc, why: string): Uint8Array {
  const unit = new Uint8Array(diskUnitBytes);
  const view = new DataView(unit.buffer);
  const text = utf8From(why).subarray(0, textBytesMax);
  view.setUint32(0, magic, true);
  view.setUint32(4, text.length, true);
  unit.set(text, textAt);
  view.setUint32(crcAt, tools.crc32(unit.subarray(0, crcAt)), true);
  return unit;
}

/** Why the volume is lost; null when it bears no mark, or damage that is none. */
export function decodePoisonMark(tools: Crc, unit: Uint8Array): string | null {
  const view = new DataView(unit.buffer, unit.byteOffset, unit.byteLength);
  if (view.getUint32(0, true) !== magic) return null;
  if (tools.crc32(unit.subarray(0, crcAt)) !== view.getUint32(crcAt, true)) return null;
  const length = Math.min(view.getUint32(4, true), textBytesMax);
  return textFromUtf8(unit.subarray(textAt, textAt + length)) ?? "a write failed";
}
