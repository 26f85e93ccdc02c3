/** What benches have in common: medians of several runs, ours and a peer's in turn in the same run, and one table. */

export interface BenchRow {
  readonly name: string;
  /** Medians, milliseconds. */
  readonly ours: number;
  readonly peer: number;
  /** What the peer is. */
  readonly against: string;
  /** Ours ÷ peer must not be above. Absent: for information. */
  readonly bar?: number;
}

export interface Contest {
  readonly name: string;
  readonly against: string;
  readonly bar?: number;
  readonly runs: number;
  /** Brings the machine to where a run starts; not timed. */
  readonly prepare: () => Promise<void> | void;
  readonly ours: () => Promise<unknown> | unknown;
  readonly peer: () => Promise<unknown> | unknown;
}

/** Runs both sides in turn, once untimed. */
export async function contest({ name, against, bar, runs, prepare, ours, peer }: Contest): Promise<BenchRow> {
  const times: [number[], number[]] = [[], []];
  for (let i = -1; i < runs; i++) {
    for (const [side, work] of [ours, peer].entries()) {
      await prepare();
      const begun = performance.now();
      await work();
      if (i >= 0) times[side]?.push(performance.now() - begun);
    }
  }
  const row = { name, against, ours: median(times[0]), peer: median(times[1]) };
  return bar === undefined ? row : { ...row, bar };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = Number.NaN, high = Number.NaN] = [
    sorted[sorted.length % 2 === 1 ? middle : middle - 1],
    sorted[middle],
  ];
  return (low + high) / 2;
}

export function table(rows: readonly BenchRow[]): string {
  const width = Math.max(...rows.map(({ name }) => name.length));
  const number = (n: number) => (n < 1 ? n.toFixed(3) : n.toFixed(1)).padStart(9);
  const lines = rows.map(({ name, ours, peer, against, bar }) => {
    const ratio = ours / peer;
    const verdict = bar === undefined ? '' : ratio <= bar ? `≤ ${bar} ok` : `> ${bar} MISSED`;
    return `${name.padEnd(width)} ${number(ours)} ${number(peer)} ${ratio.toFixed(3).padStart(7)}  ${verdict.padEnd(12)} ${against}`;
  });
  return [`${''.padEnd(width)}   ours ms   peer ms   ratio`, ...lines].join('\n');
}
