import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '../../../test/support/property.ts';
import { parseFieldSelector, parseLabelSelector } from './selectors.ts';
import { StatusError } from './status.ts';

const selects = (selector: string, labels: Record<string, string>): boolean =>
  parseLabelSelector(selector)?.(labels) ?? true;

test('operators of label selectors', () => {
  const labels = { env: 'prod', 'example.com/n': '7', empty: '' };
  const chosen = [
    '',
    'env',
    '!no',
    'env=prod',
    'env==prod',
    'env!=x',
    'no!=x',
    'env in (a, prod)',
    'env notin (a)',
  ];
  const more = [
    'no notin (a)',
    'example.com/n>6',
    'example.com/n<8',
    'empty=',
    'empty in ()',
    'env,!no,example.com/n=7',
  ];
  for (const selector of [...chosen, ...more]) assert.ok(selects(selector, labels), selector);
  for (const selector of [
    'no',
    '!env',
    'env=x',
    'env!=prod',
    'env in (a)',
    'no in (a)',
    'env notin (prod)',
    'env,no',
  ]) {
    assert.ok(!selects(selector, labels), selector);
  }
});

test('any text is a selector or a 400, never another error', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'ab=!,() inot<>/-'.split('')) }), (source) => {
      try {
        parseLabelSelector(source)?.({ a: 'b' });
        parseFieldSelector(source, ['a']);
      } catch (error) {
        assert.ok(error instanceof StatusError, String(error));
        assert.equal(error.status, 400);
      }
    }),
  );
});

test('field selectors know escapes and refuse unknown fields', () => {
  assert.deepEqual(parseFieldSelector('a=x\\,y,b!=z', ['a', 'b']), [
    { field: 'a', equal: true, value: 'x,y' },
    { field: 'b', equal: false, value: 'z' },
  ]);
  assert.throws(() => parseFieldSelector('c=1', ['a']), /field label not supported: c/);
});
