/** Work that nobody waits for: logs, metrics, what others conclude from a change. */

let work: (() => void)[] = [];

/**
 * Does it at the end of the turn of the event loop, in order: what happens many times a change must not stand between it and the kernel. What is
 * left when the process exits is done then.
 */
export function afterwards(piece: () => void): void {
  if (work.length === 0) {
    setImmediate(doAll);
    process.once('exit', doAll);
  }
  work.push(piece);
}

function doAll(): void {
  process.off('exit', doAll);
  const pieces = work;
  work = [];
  for (const piece of pieces) piece();
}
