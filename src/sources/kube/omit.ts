const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

/**
 * JSON text with the arrays of these fields empty, wherever they stand: most of an object's text is in some that nobody here reads (`metadata.managedFields`,
 * a Node's `status.images`), and looking for an array's end takes a fraction of parsing it.
 *
 * It finds them as the API server writes them, without white space; others stay, and are parsed. In JSON the text `"name":[` can only be a field and its
 * value, unless a backslash makes its first quote part of a longer name.
 */
export function omitting(text: string, fields: readonly string[]): string {
  let left = text;
  for (const field of fields) {
    const start = `"${field}":[`;
    for (let at = left.indexOf(start); at >= 0; at = left.indexOf(start, at + start.length)) {
      if (left.charCodeAt(at - 1) === BACKSLASH) continue;
      const from = at + start.length;
      const end = endOfArray(left, from);
      // Cut off: that is for the parser to say.
      if (end < 0) break;
      left = left.slice(0, from) + left.slice(end);
    }
  }
  return left;
}

/** Where the bracket is that ends the array whose content begins at `from`; -1 when it does not end. */
function endOfArray(text: string, from: number): number {
  let depth = 1;
  for (let i = from; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) {
      i = endOfString(text, i + 1);
      if (i < 0) return -1;
    } else if (code === OPEN_ARRAY) depth++;
    else if (code === CLOSE_ARRAY && --depth === 0) return i;
  }
  return -1;
}

function endOfString(text: string, from: number): number {
  let end = text.indexOf('"', from);
  while (end > 0 && text.charCodeAt(end - 1) === BACKSLASH && isEscaped(text, end))
    end = text.indexOf('"', end + 1);
  return end;
}

function isEscaped(text: string, at: number): boolean {
  let first = at;
  while (text.charCodeAt(first - 1) === BACKSLASH) first--;
  return (at - first) % 2 === 1;
}
