import type { Problem } from '../../model/problem.ts';
import { didYouMean } from './nearest.ts';
import type { Given, Layer } from './resolve.ts';
import { SETTING_NAMES, type SettingName, settingOf } from './settings.ts';

const FILE_SETTINGS = SETTING_NAMES.filter((name) => settingOf(name).inFile);
const GROUPS = new Set(FILE_SETTINGS.filter((n) => n.includes('.')).map((n) => n.slice(0, n.indexOf('.'))));

/** Reads the text of a configuration file. Every setting comes with the line that it stands in; all problems are told at once. */
export async function fileLayer(
  text: string,
  path: string,
): Promise<{ layer: Layer; problems: readonly Problem[] }> {
  if (setsNothing(text)) return { layer: new Map(), problems: [] };
  // Loaded only when something is set: the library costs memory that an agent at its defaults does not need.
  const { isMap, isScalar, LineCounter, parseDocument } = await import('yaml');
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const problems: Problem[] = document.errors.map((error) => ({
    object: `file ${path}`,
    message: `line ${lines.linePos(error.pos[0]).line}: ${error.message}`,
  }));
  const layer = new Map<SettingName, Given>();
  if (problems.length > 0) return { layer, problems };

  const walk = (map: unknown, prefix: string): void => {
    if (!isMap(map)) return;
    for (const { key, value } of map.items) {
      const name = `${prefix}${isScalar(key) ? String(key.value) : String(key)}`;
      const offset = isScalar(key) ? (key.range?.[0] ?? 0) : 0;
      const where = `${path} line ${lines.linePos(offset).line}`;
      const plain = value === null ? null : (value as { toJSON?(): unknown }).toJSON?.();
      if (isFileSetting(name)) {
        // An empty value ("podMtu:") means: as if it were not written.
        if (plain !== null && plain !== undefined) layer.set(name, { value: plain, where });
      } else if (prefix === '' && GROUPS.has(name)) {
        if (isMap(value)) walk(value, `${name}.`);
        else if (plain !== null && plain !== undefined) problems.push(notAGroup(name, plain, where));
      } else problems.push(unknown(name, where));
    }
  };
  const top = document.contents;
  if (top !== null && !isMap(top) && !(isScalar(top) && top.value === null)) {
    problems.push({
      object: `file ${path}`,
      message: 'is not a list of settings',
      hint: 'write NAME: VALUE',
    });
  }
  walk(top, '');
  return { layer, problems };
}

/** Empty lines and remarks alone, as in the annotated sample. */
function setsNothing(text: string): boolean {
  return text.split('\n').every((line) => /^\s*(#|$)/.test(line));
}

function isFileSetting(name: string): name is SettingName {
  return (FILE_SETTINGS as readonly string[]).includes(name);
}

function notAGroup(name: string, value: unknown, where: string): Problem {
  const members = FILE_SETTINGS.filter((n) => n.startsWith(`${name}.`)).map((n) => n.slice(name.length + 1));
  return {
    object: `setting ${name}`,
    message: `${JSON.stringify(value)} is not allowed (${where}); it holds the settings ${members.join(', ')}`,
    hint: `write "${name}:", and each of them below it, indented`,
  };
}

function unknown(name: string, where: string): Problem {
  const setting = (SETTING_NAMES as readonly string[]).find((n) => n === name);
  if (setting !== undefined) {
    return {
      object: `setting ${name}`,
      message: `cannot be set in a file (${where})`,
      hint: `use --${settingOf(setting as SettingName).flag}`,
    };
  }
  const guess = didYouMean(name, FILE_SETTINGS);
  return {
    object: `setting ${name}`,
    message: `there is no such setting (${where})`,
    hint: guess ?? `known: ${FILE_SETTINGS.join(', ')}`,
  };
}
