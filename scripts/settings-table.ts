/** Writes the table of all settings into docs/user/install.md; a test says when it is stale. Usage: `sh scripts/node.sh scripts/settings-table.ts && npm run check -- --write` */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { envNames, SETTING_NAMES, settingOf } from '../src/sources/config/settings.ts';

export const GUIDE = join(import.meta.dirname, '../docs/user/install.md');
const BEGIN = '<!-- settings: written by scripts/settings-table.ts -->';
const END = '<!-- end of settings -->';

function settingsTable(): string {
  const rows = SETTING_NAMES.map((name) => {
    const { flag, kind, fallback, doc, inFile, live } = settingOf(name);
    const unset = fallback === undefined || (Array.isArray(fallback) && fallback.length === 0);
    const [env = ''] = envNames(settingOf(name));
    const cells = [
      inFile ? `\`${name}\`${live ? '' : ' ¹'}` : '–',
      `\`--${flag}\``,
      `\`${env}\``,
      unset ? '' : `\`${String(fallback)}\``,
      `${doc} Allowed: ${kind.allowed}.`,
    ];
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  });
  return [
    '| in the file | flag | environment | default | |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}

/** The guide as it ought to be. */
export function guideWithTable(guide: string): string {
  const [from, to] = [guide.indexOf(BEGIN), guide.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`${GUIDE} has no place for the table of settings`);
  return `${guide.slice(0, from + BEGIN.length)}\n\n${settingsTable()}\n\n${guide.slice(to)}`;
}

if (import.meta.main) writeFileSync(GUIDE, guideWithTable(readFileSync(GUIDE, 'utf8')));
