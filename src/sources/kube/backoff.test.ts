import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '../../../test/support/property.ts';
import { backoff } from './backoff.ts';

const bounds = { first: 500, longest: 8000 };

test('doubles up to its bound, between half and all of it', () => {
  assert.deepEqual(
    [1, 2, 3, 9].map((n) => backoff(n, bounds, () => 0)),
    [250, 500, 1000, 4000],
  );
  fc.assert(
    fc.property(fc.nat(), fc.double({ min: 0, max: 0.999, noNaN: true }), (failures, random) => {
      const wait = backoff(failures, bounds, () => random);
      assert.ok(wait >= 250 && wait <= 8000);
    }),
  );
});

test('never sooner than the server asked, never later than about a minute', () => {
  assert.ok(backoff(1, bounds, () => 0.9, 20_000) >= 20_000);
  assert.ok(backoff(1, bounds, () => 0.9, 3_600_000) <= 61_000);
});
