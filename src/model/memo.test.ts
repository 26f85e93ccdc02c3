import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Memo, ObjectMemo } from './memo.ts';

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

test('what was made of an object is found again, also when others were asked for meanwhile', () => {
  const memo = new ObjectMemo<object, string>();
  const [a, b] = [{}, {}];
  memo.set(a, 'of a');
  memo.set(b, 'of b');
  assert.deepEqual(
    [memo.get(a), memo.get(b), memo.get(b), memo.get({})],
    ['of a', 'of b', 'of b', undefined],
  );
  memo.set(b, 'of b, anew');
  assert.deepEqual([memo.get(b), memo.get(a)], ['of b, anew', 'of a']);
});
