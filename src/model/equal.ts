/**
 * Whether two plain values (primitives, arrays, objects; no Maps, no cycles) say the same. A field that is `undefined` equals one
 * that is absent. Sources and planners build fresh objects, so identity alone would call every relist a change; the objects are
 * small and trimmed, so comparing their content costs about a microsecond.
 */
export function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return Object.is(a, b);
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    for (let i = 0; i < a.length; i++) if (!equal(a[i], b[i])) return false;
    return true;
  }
  return covers(a, b) && lacksNothing(a, b);
}

function covers(a: object, b: object): boolean {
  // Plain objects inherit nothing; this makes no list of the fields.
  for (const name in a) {
    if (!equal((a as Record<string, unknown>)[name], (b as Record<string, unknown>)[name])) return false;
  }
  return true;
}

function lacksNothing(a: object, b: object): boolean {
  for (const name in b) {
    if (!Object.hasOwn(a, name) && (b as Record<string, unknown>)[name] !== undefined) return false;
  }
  return true;
}
