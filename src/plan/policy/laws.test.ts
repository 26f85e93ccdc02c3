/**
 * The laws of policy, on random clusters and random histories: after every change, for every ordered pair of pods, nodes and a
 * machine outside, what the rows let through is what the API's text says (test/support/policy/naive.ts) and what `decide` says; and the rows
 * are those of planning from scratch. `FAIRLEAD_RUNS=10` for ten times as many.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../../../test/support/fake-clock.ts';
import { naiveVerdict, type Objects, type Packet } from '../../../test/support/policy/naive.ts';
import { PlannerCluster } from '../../../test/support/policy/planner-cluster.ts';
import {
  history,
  NODE_NAMES,
  nodeAddressesOf,
  nodeEdit,
  PORTS,
  type RandomEdit,
} from '../../../test/support/policy/random.ts';
import { fc, runs } from '../../../test/support/property.ts';
import { ip } from '../../model/net/ip.ts';
import { decide } from './decide/decide.ts';
import type { Flow } from './flow.ts';

const RUNS = runs(150);
const OUTSIDE = ['192.0.2.9', '2001:db8:f::9'];
const GRE = 47;

/** The cluster as manifests for the judge, and as Worlds for the judged. */
class Both {
  readonly cluster = new PlannerCluster(NODE_NAMES);
  readonly #manifests = new Map<string, RandomEdit>();

  apply(edit: RandomEdit): void {
    const id = `${edit.kind} ${edit.key}`;
    if (edit.manifest) {
      this.#manifests.set(id, edit);
      this.cluster.put(edit.kind, edit.manifest);
    } else if (this.#manifests.delete(id)) this.cluster.remove(edit.kind, edit.key);
  }

  objects(): Objects {
    const all = [...this.#manifests.values()];
    const of = (...kinds: readonly string[]) =>
      all.filter(({ kind }) => kinds.includes(kind)).map(({ manifest }) => manifest);
    return {
      namespaces: of('Namespace'),
      pods: of('Pod'),
      nodes: of('Node'),
      policies: of('NetworkPolicy', 'ClusterNetworkPolicy'),
    };
  }

  /** Who can begin and who can be asked: live pods, nodes (which stand for their hostNetwork pods), somebody outside. */
  ends(): readonly string[] {
    const live = [...this.#manifests.values()].flatMap(({ kind, manifest }) => {
      if (kind !== 'Pod') return [];
      const { spec, status } = manifest as { spec: { hostNetwork?: boolean }; status: Status };
      if (spec.hostNetwork || status.phase === 'Succeeded' || status.phase === 'Failed') return [];
      return status.podIPs.map(({ ip }) => ip);
    });
    return [...live, ...NODE_NAMES.flatMap(nodeAddressesOf), ...OUTSIDE];
  }
}

interface Status {
  readonly phase: string;
  readonly podIPs: readonly { readonly ip: string }[];
}

const family = (address: string): number => (address.includes(':') ? 6 : 4);

/** For each ordered pair two of the packets that could be sent: chance chooses, and over the runs all of them come. */
function* packets(both: Both, random: () => number): Iterable<Packet> {
  const ends = both.ends();
  for (const from of ends) {
    for (const to of ends) {
      if (from === to || family(from) !== family(to)) continue;
      for (let i = 0; i < 2; i++) {
        const kind = Math.floor(random() * 9);
        const port = PORTS[Math.floor(random() * PORTS.length)] ?? 80;
        if (kind < 7) yield { from, to, protocol: ['TCP', 'UDP', 'SCTP'][kind % 3] ?? 'TCP', port };
        else yield { from, to, protocol: kind === 7 ? GRE : family(from) === 4 ? 1 : 58 };
      }
    }
  }
}

function checkVerdicts(both: Both, random: () => number): number {
  const objects = both.objects();
  let denied = 0;
  for (const packet of packets(both, random)) {
    const { allowed, egress, ingress } = naiveVerdict(objects, packet);
    if (!allowed) denied++;
    const said = `${packet.from} → ${packet.to} ${packet.protocol}/${packet.port ?? ''}: egress ${egress}, ingress ${ingress}`;
    const walked = both.cluster.walk(packet);
    assert.equal(walked.verdict, allowed ? 'accepted' : 'dropped', `rows differ: ${said} (${walked.by})`);
    const flow: Flow = {
      ...packet,
      from: ip(packet.from),
      to: ip(packet.to),
      protocol: packet.protocol as Flow['protocol'],
    };
    const node = NODE_NAMES[Math.floor(random() * NODE_NAMES.length)] ?? 'n1';
    const decision = decide(both.cluster.world(node), flow);
    const words = `${decision.egress?.text ?? ''}; ${decision.ingress?.text ?? ''}`;
    assert.equal(decision.allowed, allowed, `decide at ${node} differs: ${said} (${words})`);
    assert.equal(
      decision.egress?.allowed ?? true,
      egress,
      `decide at ${node} differs in egress: ${said} (${words})`,
    );
    assert.equal(
      decision.ingress?.allowed ?? true,
      ingress,
      `decide at ${node} differs in ingress: ${said} (${words})`,
    );
  }
  return denied;
}

test('rows, decide and the naive evaluator agree after every step of random histories; rows are as from scratch', (t) => {
  let denied = 0;
  fc.assert(
    fc.property(
      history({ minLength: 0, maxLength: 40, size: 'max' }),
      history({ minLength: 0, maxLength: 6 }),
      fc.nat(),
      (before, steps, seed) => {
        const both = new Both();
        const random = seeded(seed);
        for (const node of NODE_NAMES) both.apply(nodeEdit(node, {}));
        for (const edit of before) both.apply(edit);
        both.cluster.assertAsFromScratch();
        denied += checkVerdicts(both, random);
        for (const edit of steps) {
          both.apply(edit);
          both.cluster.assertAsFromScratch();
          denied += checkVerdicts(both, random);
        }
      },
    ),
    { numRuns: RUNS, includeErrorInReport: true },
  );
  t.diagnostic(`${denied} packets denied`);
  assert.ok(denied > RUNS, 'policies denied something');
});
