import type { PrepareHeader } from "#replica/wire/prepare.ts";
import type { Storage } from "#replica/wire/storage-port.ts";
import type { SuperblockState } from "#replica/wire/superblock.ts";

/** What is told of a storage's work. */
export interface StorageEars {
  /** A prepare is handed over. */
  readonly writes: (header: PrepareHeader) => void;
  /** A superblock became durable. */
  readonly wrote: (state: SuperblockState) => void;
  /** Something became durable that a batch must have seen, for coverage. */
  readonly count: (what: string) => void;
}

/** Segments are named `h<level>-<op>-<part>`, once swept with `-<revision>`. */
function kindOf(id: string): string | null {
  const [, level, revision] = /^h(\d+)-\d+-\d+(?:-(\d+))?$/.exec(id) ?? [];
  if (level === undefined) return null;
  if (revision !== undefined) return "segment_swept";
  return Number(level) > 0 ? "segments_merged" : null;
}

/** The storage itself, but for ears at what it is given to write. */
export function watchedStorage(storage: Storage, ears: StorageEars): Storage {
  const watched = Object.create(storage) as Storage;
  watched.writePrepare = (...args) => {
    ears.writes(args[0].header);
    storage.writePrepare(...args);
  };
  watched.writeSuperblock = (state, done) => {
    storage.writeSuperblock(state, () => {
      ears.wrote(state);
      done();
    });
  };
  watched.writeSegment = (id, blocks, done) => {
    storage.writeSegment(id, blocks, () => {
      const kind = kindOf(id);
      if (kind !== null) ears.count(kind);
      done();
    });
  };
  watched.repairBlock = (id, block, bytes, done) => {
    storage.repairBlock(id, block, bytes, () => {
      ears.count("block_repaired");
      done();
    });
  };
  watched.removeSegments = (ids, done) => {
    storage.removeSegments(ids, () => {
      ears.count("segments_removed");
      done();
    });
  };
  return watched;
}
