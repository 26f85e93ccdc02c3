/** `fairlead why` asks the rules that are in the kernel: they agree with the policies, and where somebody altered them it says so. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, test } from 'node:test';
import { KernelRules } from '../../src/agent/kernel-rules.ts';
import { EVERYTHING, selector } from '../../src/model/cluster/selector.ts';
import { cidr } from '../../src/model/net/cidr.ts';
import type { NftBody } from '../../src/model/rows/nft.ts';
import type { World } from '../../src/model/world.ts';
import { planOnce } from '../../src/plan/engine.ts';
import { policyPlanner } from '../../src/plan/policy/planner.ts';
import { explainPath } from '../../src/plan/why/explain.ts';
import { parseTraffic } from '../../src/plan/why/traffic.ts';
import { NETLINK_NETFILTER } from '../../src/targets/linux/netlink/constants.ts';
import { openNetlink } from '../../src/targets/linux/netlink/socket.ts';
import { nftTarget } from '../../src/targets/linux/nft.ts';
import { node, store } from '../support/plan-worlds.ts';
import { podOn } from '../support/verdict-worlds.ts';

const nl = openNetlink(NETLINK_NETFILTER);
after(() => nl.close());

const pod = (key: string, on: number, last: number) =>
  podOn(key, on, last, { labels: { app: key.split('/')[1] ?? '' } });
const app = (name: string) => selector([{ key: 'app', operator: 'In', values: [name] }]);

function worldOf(): World {
  const filled = store({
    nodes: [node(1), node(2)],
    pods: [pod('x/a', 1, 5), pod('x/b', 1, 6), pod('y/c', 1, 7)],
  });
  filled.put('peers', 'y/d', pod('y/d', 2, 5));
  for (const name of ['x', 'y'])
    filled.put('namespaces', name, { name, uid: name, labels: { ns: name }, audit: false });
  const ports = [{ protocol: 'TCP', name: 'web' }] as const;
  const named = (key: string) => {
    const [namespace = '', name = ''] = key.split('/');
    return { key, namespace, name, uid: key, audit: false, problems: [] };
  };
  filled.put('networkPolicies', 'x/web', {
    ...named('x/web'),
    pods: app('b'),
    ingress: [
      { peers: [{ kind: 'pods', namespaces: EVERYTHING, pods: EVERYTHING }], ports },
      {
        peers: [{ kind: 'block', cidr: cidr('192.0.2.0/24'), except: [cidr('192.0.2.8/29')] }],
        ports: 'any',
      },
    ],
  });
  filled.put('networkPolicies', 'y/out', {
    ...named('y/out'),
    pods: app('c'),
    egress: [{ peers: [{ kind: 'pods', pods: app('d') }], ports: 'any' }],
  });
  filled.put('clusterNetworkPolicies', 'no-dns', {
    name: 'no-dns',
    uid: 'u',
    tier: 'Admin',
    priority: 1,
    subject: { namespaces: EVERYTHING, pods: EVERYTHING },
    ingress: [],
    egress: [{ name: '', action: 'Deny', peers: 'any', ports: [{ protocol: 'UDP', from: 53, to: 53 }] }],
    audit: false,
    problems: [],
  });
  return filled.world;
}

async function program(world: World): Promise<void> {
  execFileSync('nft', ['flush', 'ruleset']);
  const rows = [...planOnce([policyPlanner], world).rows()].filter((row) => row.target === 'nft');
  const changes = rows.map(({ key, body }) => ({ key, wanted: body as NftBody, found: undefined }));
  const outcomes = await nftTarget(nl, 'inet').apply(changes);
  for (const [i, outcome] of outcomes.entries())
    assert.ok(outcome.ok, `${rows[i]?.key}: ${'error' in outcome && outcome.error.message}`);
}

const ENDS = ['x/a', 'x/b', 'y/c', '10.244.2.5', 'n1', 'n2', '192.0.2.1', '192.0.2.9', '10.244.1.99'];
const TRAFFIC = ['tcp/80', 'tcp/81', 'udp/53', 'sctp/80', 'icmp', '47'];

/** Every pair of ends with every kind of traffic, as far as our rules are asked. */
async function ask(
  world: World,
): Promise<{ question: string; answer: string; mismatch: boolean; allowed: boolean }[]> {
  const rules = new KernelRules(nl, world);
  const found = [];
  for (const from of ENDS)
    for (const to of ENDS)
      for (const traffic of TRAFFIC) {
        if (from === to) continue;
        for (const step of explainPath(world, from, to, parseTraffic(traffic)).steps) {
          if (!step.rules) continue;
          const { text, mismatch } = await rules.ask(step.rules);
          const question = `${from} ${to} ${traffic}: ${step.text}`;
          found.push({ question, answer: text, mismatch, allowed: step.rules.allowed });
        }
      }
  return found;
}

test('the rules in the kernel do what the policies say, and a rule that somebody altered is seen', async () => {
  const world = worldOf();
  await program(world);
  const answers = await ask(world);
  assert.deepEqual(
    answers.filter(({ mismatch }) => mismatch),
    [],
  );
  const denied = answers.filter(({ allowed }) => !allowed);
  assert.ok(
    denied.length > 40 && answers.length - denied.length > 40,
    `${denied.length} of ${answers.length}`,
  );
  assert.ok(
    answers.every(({ answer }) => answer.startsWith('nft policy-')),
    answers[0]?.answer,
  );

  execFileSync('nft', ['flush', 'chain', 'inet', 'fairlead', 'policy-egress']);
  const altered = (await ask(world)).filter(({ mismatch }) => mismatch);
  assert.ok(altered.length > 0);
  assert.ok(
    altered.every(({ question, answer }) => / egress of /.test(question) && / accepted in /.test(answer)),
  );

  execFileSync('nft', ['flush', 'ruleset']);
  const [gone] = (await ask(world)).filter(({ mismatch }) => mismatch);
  assert.match(gone?.answer ?? '', /^nft has no chain policy-\w+-\w+: nothing is denied$/);
});
