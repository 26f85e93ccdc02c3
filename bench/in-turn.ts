/** Two sides measured in turn, shortly and often: a machine's speed wanders by more than what is looked for, but slowly. */
import { median } from './table.ts';

export interface InTurn {
  /** Medians. */
  readonly ours: number;
  readonly other: number;
  /** Median of the ratios of pairs, and its standard error. */
  readonly ratio: number;
  readonly error: number;
}

/** Each pair gives one ratio, ours ÷ other; the order changes from pair to pair (ABBA). One measurement of each side is thrown away first. */
export async function inTurn(
  pairs: number,
  ours: () => Promise<number>,
  other: () => Promise<number>,
): Promise<InTurn> {
  const values: { ours: number[]; other: number[] } = { ours: [], other: [] };
  const sides = [
    ['ours', ours],
    ['other', other],
  ] as const;
  for (const [, measure] of sides) await measure();
  for (let pair = 0; pair < pairs; pair++) {
    for (const [side, measure] of pair % 2 === 0 ? sides : sides.toReversed())
      values[side].push(await measure());
  }
  const ratios = values.ours.map((value, i) => value / (values.other[i] ?? Number.NaN));
  const ratio = median(ratios);
  return { ours: median(values.ours), other: median(values.other), ratio, error: errorOf(ratios, ratio) };
}

/** Of the median, from the median distance to it: outliers do not count. */
function errorOf(values: readonly number[], middle: number): number {
  const deviation = 1.483 * median(values.map((value) => Math.abs(value - middle)));
  return (1.253 * deviation) / Math.sqrt(values.length);
}
