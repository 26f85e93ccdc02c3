/**
 * Keys that occur twice in one object of a JSON text, as `duplicate field "spec.foo"`. JSON.parse cannot say so; strict field
 * validation must. The text is known to parse.
 */
export function duplicateFields(source: string): string[] {
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
