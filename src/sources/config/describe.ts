import { envNames, SETTING_NAMES, settingOf } from './settings.ts';

const WIDTH = 100;

/** The settings part of `fairlead agent --help`. */
export function settingsHelp(): string {
  return SETTING_NAMES.map((name) => {
    const setting = settingOf(name);
    const notes = [
      ...(isUnset(setting.fallback) ? [] : [`Default ${showDefault(setting.fallback)}.`]),
      `Allowed: ${setting.kind.allowed}.`,
      `Environment: ${envNames(setting).join(', ')}.`,
      ...(setting.inFile
        ? [`File: ${name}${setting.live ? '' : ' (a change needs a restart)'}.`]
        : ['Not in the file.']),
    ].join(' ');
    return `  --${setting.flag} ${setting.kind.placeholder}\n${wrap(setting.doc, 8)}\n${wrap(notes, 8)}`;
  }).join('\n');
}

/** A configuration file that says everything at its default, each setting explained. It is valid as it stands. */
export function annotatedSample(): string {
  const lines = [
    '# Fairlead configuration. What is commented out is at its default.',
    '# The agent reads this file again whenever it changes; a file with a mistake is not used, and the one before stays in force.',
  ];
  let group = '';
  for (const name of SETTING_NAMES) {
    const setting = settingOf(name);
    if (!setting.inFile) continue;
    const dot = name.indexOf('.');
    const parent = dot < 0 ? '' : name.slice(0, dot);
    lines.push('');
    if (parent !== '' && parent !== group) lines.push(`${parent}:`);
    group = parent;
    const indent = parent === '' ? '' : '  ';
    lines.push(wrap(setting.doc, 0, `${indent}# `));
    lines.push(wrap(`Allowed: ${setting.kind.allowed}.`, 0, `${indent}# `));
    if (!setting.live) lines.push(`${indent}# A change takes effect when the agent starts again.`);
    const key = name.slice(dot + 1);
    lines.push(
      isUnset(setting.fallback)
        ? `${indent}# ${key}:`
        : `${indent}# ${key}: ${JSON.stringify(setting.fallback)}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

function isUnset(value: unknown): boolean {
  return value === undefined || (Array.isArray(value) && value.length === 0);
}

function showDefault(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function wrap(words: string, indent: number, prefix = ' '.repeat(indent)): string {
  const lines: string[] = [];
  let line = '';
  for (const word of words.split(' ')) {
    if (line !== '' && prefix.length + line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((l) => prefix + l).join('\n');
}
