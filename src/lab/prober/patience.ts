/** Milliseconds of a beat. */
const BEAT = 20;

interface Wait {
  left: number;
  readonly late: () => void;
}

const waits = new Set<Wait>();
let beats: NodeJS.Timeout | undefined;

/**
 * Calls `late` after so many milliseconds in which this process ran, unless the returned function is called first. Counted in beats: however
 * long the machine gave this process no time, that is one beat, because answers that came meanwhile wait to be read.
 */
export function patience(ms: number, late: () => void): () => void {
  const wait: Wait = { left: Math.ceil(ms / BEAT) + 1, late };
  waits.add(wait);
  beats ??= setInterval(beat, BEAT);
  return () => forget(wait);
}

function beat(): void {
  for (const wait of waits) {
    wait.left--;
    if (wait.left > 0) continue;
    forget(wait);
    // What waits in sockets is read first.
    setImmediate(wait.late);
  }
}

function forget(wait: Wait): void {
  waits.delete(wait);
  if (waits.size > 0) return;
  clearInterval(beats);
  beats = undefined;
}
