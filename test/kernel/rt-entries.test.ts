/** Targets `neighbor` and `fdb`: what others do to their entries is told by key. Their laws are in `rt-links.test.ts`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Ip } from '../../src/model/net/ip.ts';
import type { Mac } from '../../src/model/net/mac.ts';
import { fdbKey } from '../../src/model/rows/fdb.ts';
import { neighborKey } from '../../src/model/rows/neighbor.ts';
import type { Target } from '../../src/reconcile/target.ts';
import { fdbTarget } from '../../src/targets/linux/fdb.ts';
import { neighborTarget } from '../../src/targets/linux/neighbor.ts';
import { until } from '../support/until.ts';
import { bridge, ip, pass, routingMachine, turns } from './rt-laws.ts';

const { nl } = routingMachine(['fl-a']);
const MAC = '02:00:00:00:01:01' as Mac;
const OTHER = '02:00:00:00:01:02';

/** Each step is somebody else's, and undone by the target itself; `unheard` ones are not ours to repair. */
async function drift<B>(
  target: Target<B>,
  wanted: ReadonlyMap<string, B>,
  steps: {
    readonly heard: readonly (readonly [what: string, by: () => void, key: string])[];
    unheard(): void;
  },
): Promise<void> {
  await target.observe();
  const told: string[] = [];
  const watch = target.watch?.((keys) => told.push(...(keys === 'unknown' ? ['unknown'] : keys)));
  await pass(target, wanted);
  await turns();
  assert.equal(told.join(), '', 'own changes are told');
  for (const [what, by, key] of steps.heard) {
    by();
    await until(`${what} is told`, () => told.includes(key));
    assert.deepEqual(new Set(told), new Set([key]), what);
    assert.equal((await pass(target, wanted)).length, 1, `${what} is repaired by one change`);
    await turns();
    told.length = 0;
  }
  steps.unheard();
  await turns();
  assert.equal(told.join(), '', "what the kernel's own is about is told");
  watch?.close();
  await pass(target, new Map());
}

for (const [family, address, unknown] of [
  ['IPv4', '192.0.2.77', '192.0.2.78'],
  ['IPv6', 'fe80::77', 'fe80::78'],
] as const)
  test(`neighbours of ${family}: removed, replaced, added by others; a learned one is the kernel's`, async () => {
    const key = neighborKey('fl-a', address);
    const neigh = (verb: string, to: string, ...more: string[]) =>
      ip('neigh', verb, to, 'dev', 'fl-a', ...more);
    await drift(neighborTarget(nl), new Map([[key, { dev: 'fl-a', ip: address as Ip, mac: MAC }]]), {
      heard: [
        ['removal', () => void neigh('del', address), key],
        ['another MAC', () => void neigh('replace', address, 'lladdr', OTHER, 'nud', 'permanent'), key],
        ['a state that ages', () => void neigh('replace', address, 'lladdr', MAC, 'nud', 'stale'), key],
        [
          'one more',
          () => void neigh('add', unknown, 'lladdr', OTHER, 'nud', 'permanent'),
          neighborKey('fl-a', unknown),
        ],
      ],
      unheard: () => void neigh('add', unknown, 'lladdr', OTHER, 'nud', 'stale'),
    });
  });

test("forwarding entries: removed, replaced, altered, added by others; a learned one is the kernel's", async () => {
  const key = fdbKey('fl-a', MAC);
  const fdb = (verb: string, mac: string, ...more: string[]) =>
    bridge('fdb', verb, mac, 'dev', 'fl-a', ...more);
  await drift(fdbTarget(nl), new Map([[key, { dev: 'fl-a', mac: MAC, dst: '192.0.2.2' as Ip }]]), {
    heard: [
      ['removal', () => void fdb('del', MAC), key],
      ['another VTEP', () => void fdb('replace', MAC, 'dst', '192.0.2.3', 'self', 'permanent'), key],
      [
        'a port',
        () => void fdb('replace', MAC, 'dst', '192.0.2.2', 'port', '4789', 'self', 'permanent'),
        key,
      ],
      ['a static state', () => void fdb('replace', MAC, 'dst', '192.0.2.2', 'self', 'static'), key],
      [
        'one more',
        () => void fdb('add', OTHER, 'dst', '192.0.2.3', 'self', 'permanent'),
        fdbKey('fl-a', OTHER),
      ],
    ],
    unheard: () => void fdb('add', OTHER, 'dst', '192.0.2.3', 'self', 'dynamic'),
  });
});
