import { stripVTControlCharacters, styleText } from 'node:util';

export type Style = 'red' | 'green' | 'yellow' | 'dim' | 'bold';

/** Colours when standard output is a terminal that has them (NO_COLOR and FORCE_COLOR are obeyed). */
export function paint(style: Style, words: string): string {
  return styleText(style, words, { stream: process.stdout, validateStream: true });
}

/** Columns as wide as their widest cell, two spaces apart; the last column is not padded. Empty = no lines. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '';
  const all = [head.map((word) => paint('dim', word)), ...rows];
  const widths = head.map((_, i) => Math.max(...all.map((row) => shown(row[i] ?? ''))));
  return all
    .map((row) =>
      row
        .map((cell, i) => (i === row.length - 1 ? cell : cell + ' '.repeat((widths[i] ?? 0) - shown(cell))))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

const shown = (cell: string): number => stripVTControlCharacters(cell).length;

/** Lines cut where a terminal of so many columns would break them, with `…` in the last one. Colours take no room. */
export function clip(text: string, columns: number): string {
  return text
    .split('\n')
    .map((line) => (shown(line) <= columns ? line : clipLine(line, columns)))
    .join('\n');
}

function clipLine(line: string, columns: number): string {
  let kept = '';
  let room = columns - 1;
  // Escape sequences stay, so that a colour that was begun is ended.
  for (const [piece] of line.matchAll(ESCAPE_OR_CHARACTER)) {
    const isEscape = piece.startsWith('\x1b');
    if (!isEscape && room-- <= 0) kept += room === -1 ? '…' : '';
    else kept += piece;
  }
  return kept;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: this is what an escape sequence begins with
const ESCAPE_OR_CHARACTER = /\x1b\[[0-9;]*m|./gsu;

/** `4 s`, `3 min`, `2 h`, `5 d` between two times in milliseconds. */
export function span(from: number, to: number): string {
  const seconds = Math.max(0, Math.round((to - from) / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

/** Time of day for people, or the date too when it is not today. */
export function moment(at: number, now: number): string {
  const text = new Date(at).toISOString();
  return text.slice(0, 10) === new Date(now).toISOString().slice(0, 10)
    ? text.slice(11, 19)
    : text.slice(0, 19);
}
