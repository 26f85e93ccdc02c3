import assert from 'node:assert/strict';
import { test } from 'node:test';
import { outermost } from './cidrs.ts';

test('inner and repeated prefixes are left out, families stay apart', () => {
  assert.deepEqual(
    outermost(['10.1.0.0/16', '10.0.0.0/8', '10.0.0.0/8', '192.0.2.7', 'fd00::/16', 'fd00:1::/64', '::/0']),
    ['10.0.0.0/8', '192.0.2.7', '::/0'],
  );
  assert.deepEqual(outermost(['10.0.0.0/9', '10.128.0.0/9']), ['10.0.0.0/9', '10.128.0.0/9']);
  assert.deepEqual(outermost(['0.0.0.0/0', '10.0.0.1/32', 'fd00::1']), ['0.0.0.0/0', 'fd00::1']);
  assert.deepEqual(outermost([]), []);
});
