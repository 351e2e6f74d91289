import type { SuperblockState } from "#replica/wire/superblock.ts";
import type { Inspection } from "./inspect-volume.ts";

const faultsShownMax = 50;

function superblockLines(state: SuperblockState, number: number): readonly string[] {
  const { identity, checkpoint, viewHeaders } = state;
  const first = viewHeaders.at(-1)?.op;
  const headers = first === undefined ? "none" : `ops ${first} to ${viewHeaders[0]?.op}`;
  const kept = state.kept.map(({ op }) => op);
  const slots = `${state.slots.first} to ${state.slots.first + state.slots.count - 1}`;
  return [
    `superblock   write ${number}, sequence ${state.sequence}`,
    `             cluster ${identity.cluster}`,
    `             shard ${identity.shard}, replica ${identity.replica}`,
    `             incarnation ${identity.incarnation}`,
    `             formation ${identity.formationId}`,
    `             view ${state.view}, log_view ${state.logView}, selected headers ${headers}`,
    `             commit_max ${state.commitMax}, checkpoint op ${checkpoint.op}, ` +
      `quorum checkpoint op ${state.quorumCheckpointOp}`,
    `             checkpoint ${checkpoint.id}, kept before it: op ${kept.join(", ") || "none"}`,
    `             slots ${slots}, epoch ${state.slots.epoch}; ` +
      `${state.recovering ? `learner, votes from view ${state.voteFloor}` : "voter"}`,
    `             faulty ops ${state.faultyOps.length === 0 ? "none" : state.faultyOps.join(" ")}`,
    ...state.members.map((member) => {
      return `             member ${member.replica} incarnation ${member.incarnation}`;
    }),
  ];
}

function logLines(inspection: Inspection, keyed: boolean): readonly string[] {
  const { wal, link } = inspection;
  if (wal === null || link === null) return [];
  const clean = wal.slots.filter((slot) => slot.state === "clean").map((slot) => slot.op);
  const faulty = wal.slots.length - clean.length;
  const range = clean.length === 0 ? "" : `, ops ${clean[0]} to ${clean.at(-1)}`;
  const empty = wal.verdicts.length - wal.slots.length;
  const torn = wal.verdicts.filter((verdict) => verdict.row.id.startsWith("torn")).length;
  return [
    `prepares     ${wal.verdicts.length} slots of ${link.slotBytes / 1024} KiB: ` +
      `${clean.length} clean${range}, ${empty} empty (${torn} torn), ${faulty} faulty`,
    `             bodies ${keyed ? "decrypted and checked" : "not decrypted; give --kek FILE"}`,
    `identifiers  ${inspection.sectors} sectors in two copies`,
  ];
}

/** The whole report, one line an item. */
export function inspectionLines(inspection: Inspection, keyed: boolean): readonly string[] {
  const { state, link, segments, faults } = inspection;
  const lines: string[] = [];
  if (state !== null && link !== null) lines.push(...superblockLines(state, link.number));
  else lines.push("superblock   none that can be used");
  lines.push(...logLines(inspection, keyed));
  lines.push(`segments     ${segments.files} files, ${segments.blocks} blocks`);
  for (const fault of faults.slice(0, faultsShownMax)) {
    lines.push(`fault        ${fault.file} byte ${fault.offset}: ${fault.what}`);
  }
  if (faults.length > faultsShownMax) lines.push(`             and ${faults.length} in all`);
  if (faults.length === 0) lines.push("verdict      sound");
  else if (state !== null) {
    lines.push(
      "verdict      start the replica: it heals copies and repairs the rest from its peers",
    );
  } else
    lines.push("verdict      replace this replica's volume, or give it its genesis if it is new");
  return lines;
}
