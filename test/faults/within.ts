/** What a promise gives, or "late" after `limitMs`; leaves no timer that would hold a process. */
export async function within<T>(promise: Promise<T>, limitMs: number): Promise<T | "late"> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(resolve, limitMs, "late");
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
