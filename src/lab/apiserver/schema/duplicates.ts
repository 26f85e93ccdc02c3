import type { Json } from '../json.ts';

/**
 * Keys that occur twice in one object of a JSON text, as `duplicate field "spec.foo"`. Parsing cannot say so; strict field
 * validation must. `parsed`: what the text was read as.
 */
export function duplicateFields(source: string, parsed: Json): string[] {
  return surelyDistinct(source, parsed) ? [] : search(source);
}

/**
 * What machines write has no escaped backslash and no blank before a colon. Then every key shows as `":`, an escaped quote as `\":`, a value
 * that begins with a colon at most adds to them, and as many as there are keys means that none was dropped.
 */
function surelyDistinct(source: string, parsed: Json): boolean {
  if (source.includes('\\\\') || /"\s+:/.test(source)) return false;
  const written = occurrences(source, '":') - occurrences(source, '\\":');
  return written === keysIn(parsed);
}

function occurrences(source: string, word: string): number {
  let count = 0;
  for (let at = source.indexOf(word); at >= 0; at = source.indexOf(word, at + word.length)) count++;
  return count;
}

function keysIn(value: Json): number {
  if (typeof value !== 'object' || value === null) return 0;
  let keys = 0;
  if (Array.isArray(value)) for (const item of value) keys += keysIn(item);
  else for (const key in value) keys += 1 + keysIn(value[key] ?? null);
  return keys;
}

function search(source: string): string[] {
  const found: string[] = [];
  const stack: { keys: Set<string> | undefined; path: string; index: number }[] = [];
  let pending = '';
  const token = /"(?:[^"\\]|\\.)*"|[{}[\],:]/gy;
  let position = 0;
  while (position < source.length) {
    token.lastIndex = position;
    const match = token.exec(source);
    if (!match) {
      position++;
      continue;
    }
    position = token.lastIndex;
    const word = match[0];
    const top = stack[stack.length - 1];
    if (word === '{' || word === '[') {
      const path = top?.keys === undefined && top !== undefined ? `${top.path}[${top.index}]` : pending;
      stack.push({ keys: word === '{' ? new Set() : undefined, path, index: 0 });
    } else if (word === '}' || word === ']') {
      stack.pop();
    } else if (word === ',') {
      if (top) top.index++;
    } else if (
      word.startsWith('"') &&
      top?.keys !== undefined &&
      /^\s*:/.test(source.slice(position, position + 64))
    ) {
      const key = JSON.parse(word) as string;
      pending = top.path === '' ? key : `${top.path}.${key}`;
      if (top.keys.has(key)) found.push(`duplicate field "${pending}"`);
      top.keys.add(key);
    }
  }
  return found;
}
