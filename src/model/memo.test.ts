import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Memo } from './memo.ts';

test('what is asked for again is the same object; beyond the limit it is made anew', () => {
  const memo = new Memo<object>(2);
  const made: string[] = [];
  const get = (text: string) =>
    memo.get(text, () => {
      made.push(text);
      return {};
    });
  const first = get('a');
  assert.equal(get('a'), first);
  assert.notEqual(get('b'), first);
  get('c');
  assert.notEqual(get('a'), first);
  assert.deepEqual(made, ['a', 'b', 'c', 'a']);
});
