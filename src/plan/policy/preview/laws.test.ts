/** What stands for all really does: on random clusters no packet has a verdict that the judged one of its kind has not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../../../../test/support/fake-clock.ts';
import { PlannerCluster } from '../../../../test/support/policy/planner-cluster.ts';
import { history, NODE_NAMES, nodeEdit, PORTS } from '../../../../test/support/policy/random.ts';
import { fc, runs } from '../../../../test/support/property.ts';
import { familyOf, type Ip, ip } from '../../../model/net/ip.ts';
import type { World } from '../../../model/world.ts';
import { nodesAt, podsAt } from '../decide/addresses.ts';
import { decide } from '../decide/decide.ts';
import { selectedFor } from '../decide/selected.ts';
import { outsideEnds, type PreviewEnd, podEnds } from './ends.ts';
import { type PreviewTraffic, trafficOf } from './traffic.ts';
import { wordsOf } from './words.ts';

const RUNS = runs(60);

function state(world: World, from: Ip, to: Ip, { protocol, port }: Omit<PreviewTraffic, 'label'>): string {
  const { egress, ingress } = decide(world, { from, to, protocol, ...(port !== undefined && { port }) });
  return [egress, ingress].map((verdict) => `${verdict?.allowed} ${verdict?.audit}`).join(' | ');
}

const sameFamily = (from: readonly Ip[], to: readonly Ip[]): [Ip, Ip][] =>
  from.flatMap((a) => to.filter((b) => familyOf(a) === familyOf(b) && a !== b).map((b): [Ip, Ip] => [a, b]));

/** All that has a say between these two. */
function wordsBetween(world: World, from: PreviewEnd, to: PreviewEnd) {
  const asked = ([end, direction]: readonly [PreviewEnd, 'ingress' | 'egress']) => {
    if (!end.pod) return [];
    const { admin, policies, baseline } = selectedFor(world, end.pod)[direction];
    return [...admin, ...policies, ...baseline];
  };
  return wordsOf([...asked([from, 'egress']), ...asked([to, 'ingress'])]);
}

test('pods of one kind, ports of one range, and what lies in the same blocks are judged alike', (t) => {
  let compared = 0;
  const check = (world: World, random: () => number): void => {
    const all = wordsOf([
      ...world.networkPolicies.objects.values(),
      ...world.clusterNetworkPolicies.objects.values(),
    ]);
    const pods = podEnds(world, all);
    const outside = outsideEnds(world, all);
    const port = () =>
      random() < 0.5 ? (PORTS[Math.floor(random() * PORTS.length)] ?? 80) : 1 + Math.floor(random() * 65_535);
    const protocols = ['TCP', 'UDP', 'SCTP'] as const;
    for (const from of pods) {
      for (const to of pods) {
        const traffic = trafficOf(wordsBetween(world, from, to).ports, to.pod);
        const [first = [], second = first] = from.members;
        for (const [a, b] of sameFamily(first, to.members.at(-1) ?? [])) {
          const judged = new Map(traffic.map((one) => [one.label, state(world, a, b, one)]));
          for (const protocol of protocols) {
            const packet = { protocol, port: port() };
            const own = [...judged].filter(([label]) => label.includes(protocol)).map(([, said]) => said);
            assert.ok(own.includes(state(world, a, b, packet)), `${a} → ${b} ${protocol} ${packet.port}`);
          }
          // The other one of its kind, with the same family.
          const twin = second.find((address) => familyOf(address) === familyOf(a));
          if (twin === undefined || twin === b) continue;
          for (const one of traffic)
            assert.equal(
              state(world, twin, b, one),
              judged.get(one.label),
              `${twin} as ${a} → ${b} ${one.label}`,
            );
          compared++;
        }
      }
      for (let i = 0; i < 8; i++) {
        const stranger = ip(
          `${[10, 192, 172][i % 3]}.${[244, 0, 168][i % 3]}.${Math.floor(random() * 4)}.${Math.floor(random() * 256)}`,
        );
        if (podsAt(world, stranger).length > 0 || nodesAt(world, stranger).length > 0) continue;
        // What is nobody's in our pod CIDRs is denied by its own rule, whatever policies say.
        if (stranger.startsWith('10.')) continue;
        const [own] = (from.members[0] ?? []).filter((address) => familyOf(address) === 'ipv4');
        if (own === undefined) continue;
        const packet = { protocol: 'TCP' as const, port: port() };
        const said = outside.flatMap(({ members }) =>
          sameFamily([own], members[0] ?? []).map(([a, b]) => state(world, a, b, packet)),
        );
        assert.ok(said.includes(state(world, own, stranger, packet)), `${own} → ${stranger}`);
        compared++;
      }
    }
  };
  fc.assert(
    fc.property(history({ minLength: 10, maxLength: 40, size: 'max' }), fc.nat(), (edits, seed) => {
      const cluster = new PlannerCluster(NODE_NAMES);
      for (const edit of [...NODE_NAMES.map((name) => nodeEdit(name, {})), ...edits])
        if (edit.manifest) cluster.put(edit.kind, edit.manifest);
      check(cluster.world('n1'), seeded(seed));
    }),
    { numRuns: RUNS },
  );
  t.diagnostic(`${compared} compared`);
  assert.ok(compared > RUNS);
});
