/**
 * A synchronous write or sync of the volume failed: nothing on it may be trusted again, and the
 * call must not be repeated. The message names the file and the error.
 */
export class DiskWriteError extends Error {
  override readonly name = "DiskWriteError";
}

/** Runs a durable write of a file; a failure other than a full disk is a {@link DiskWriteError}. */
export function writeDurably(file: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    const full = error instanceof Error && "code" in error && error.code === "ENOSPC";
    if (full) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new DiskWriteError(`write of ${file} failed: ${why}`, { cause: error });
  }
}
