import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emptyStore } from '../../../../test/support/plan-worlds.ts';
import { fc, runs } from '../../../../test/support/property.ts';
import { podOn } from '../../../../test/support/verdict-worlds.ts';
import type { WorldStore } from '../../../model/world-store.ts';
import { podsAt } from './addresses.ts';

const PODS = 6;
const ADDRESSES = 4;
const address = (n: number) => podOn('y/any', 2, n).ips;

/** A pod comes, moves to another address, finishes or goes; or so much changes meanwhile that nobody remembers it all. */
const step = fc.record({
  pod: fc.nat(PODS - 1),
  what: fc.constantFrom('put', 'put', 'put', 'finished', 'remove', 'much'),
  at: fc.nat(ADDRESSES - 1),
  ask: fc.boolean(),
});

function act(store: WorldStore, { pod, what, at }: typeof step extends fc.Arbitrary<infer T> ? T : never) {
  const key = `y/p${pod}`;
  if (what === 'remove') store.remove('peers', key);
  else store.put('peers', key, podOn(key, 2, at, what === 'finished' ? { phase: 'Succeeded' } : {}));
  if (what !== 'much') return;
  for (let i = 0; i < 2_500; i++) {
    if (i % 2 === 0) store.put('peers', 'y/other', podOn('y/other', 2, 9));
    else store.remove('peers', 'y/other');
  }
}

test('who has an address is the same for whoever asks after each change, now and then, or for the first time', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const store = emptyStore();
      for (const one of steps) {
        act(store, one);
        if (!one.ask) continue;
        const fresh = emptyStore();
        for (const [key, pod] of store.world.peers.objects) fresh.put('peers', key, pod);
        for (let n = 0; n < ADDRESSES; n++)
          for (const ip of address(n)) assert.deepEqual(podsAt(store.world, ip), podsAt(fresh.world, ip));
      }
    }),
    { numRuns: runs(60) },
  );
});
