import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc, runs } from '../../../test/support/property.ts';
import { SortedList } from './sorted-list.ts';

const entry = (n: number) => ({ key: String(n).padStart(5, '0') });

test('after any additions and removals, across pieces: between finds what a plain list has there, in order', () => {
  const numbers = fc.uniqueArray(fc.nat({ max: 9999 }), { minLength: 1500, maxLength: 3000, size: 'max' });
  const property = fc.property(
    numbers,
    fc.nat({ max: 2999 }),
    fc.nat({ max: 9999 }),
    fc.nat({ max: 9999 }),
    (all, atOnce, a, b) => {
      const list = new SortedList<{ key: string }>();
      list.addAll(all.slice(0, atOnce).map(entry));
      for (const n of all.slice(atOnce)) list.add(entry(n));
      const check = (left: readonly number[]) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        const wanted = left.filter((n) => n >= low && n <= high).sort((x, y) => x - y);
        assert.deepEqual(list.between(entry(low).key, entry(high).key), wanted.map(entry));
      };
      check(all);
      // Whole pieces go.
      const left = all.filter((n) => n % 7 === 0 && n > 3000);
      for (const n of all) if (!left.includes(n)) list.remove(entry(n).key);
      check(left);
      for (const n of left) list.remove(entry(n).key);
      assert.deepEqual(list.between('', 'z'), []);
      list.add(entry(5));
      assert.deepEqual(list.between('', 'z'), [entry(5)]);
    },
  );
  fc.assert(property, { numRuns: runs(30) });
});
