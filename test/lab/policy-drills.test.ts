/** Policies under the drills: what is denied never passes once, what is allowed is never refused once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, Lab } from '../../src/lab/client.ts';
import { agentsReady } from './support/expect.ts';
import { Vigil, type Watched } from './support/vigil.ts';

const POLICIES = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies';
const PODS = '/api/v1/namespaces/default/pods';
const NODES = ['n1', 'n2', 'n3'] as const;
const MOST_CALLS = 60;

/** n1-a takes from friends only; n3-b sends to friends only. Each has a denied peer on its own node and on another one. */
const WATCHED: Watched = {
  denied: [
    ['default/n1-b', 'default/n1-a'],
    ['default/n2-b', 'default/n1-a'],
    ['default/n3-b', 'default/n3-a'],
    ['default/n3-b', 'default/n2-b'],
  ],
  allowed: [
    ['default/n2-a', 'default/n1-a'],
    ['default/n3-a', 'default/n1-a'],
    ['default/n3-b', 'default/n2-a'],
    ['n1', 'default/n1-a'],
  ],
};

const FRIENDS = [{ podSelector: { matchLabels: { role: 'friend' } } }];

function policy(name: string, spec: unknown) {
  return { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name }, spec };
}

async function label(lab: Lab, pod: string, labels: Record<string, string | null>): Promise<void> {
  await lab.api.patch(`${PODS}/${pod}`, { metadata: { labels } });
}

/** A cluster with its policies in force, and the watch over it. */
async function guarded(): Promise<{ lab: Lab; vigil: () => Vigil }> {
  const lab = await Lab.start({ nodes: 3, pods: 2 });
  await agentsReady(lab);
  await label(lab, 'n1-a', { app: 'taker' });
  await label(lab, 'n3-b', { app: 'sender' });
  for (const pod of ['n2-a', 'n3-a']) await label(lab, pod, { role: 'friend' });
  // n3-a is a friend of n1-a, but on the node of n3-b it stands for a denied destination: another label tells them apart.
  await label(lab, 'n2-a', { receives: 'yes' });
  await lab.api.create(POLICIES, takers());
  await lab.api.create(
    POLICIES,
    policy('senders', {
      podSelector: { matchLabels: { app: 'sender' } },
      policyTypes: ['Egress'],
      egress: [{ to: [{ podSelector: { matchLabels: { receives: 'yes' } } }] }],
    }),
  );
  await eventually(async () => {
    for (const [kind, wanted] of [
      ['denied', false],
      ['allowed', true],
    ] as const)
      for (const [from, to] of WATCHED[kind])
        for (const family of ['ipv4', 'ipv6'] as const) {
          const { verdict } = await lab.probe(from, to, { family, timeout: 200 });
          assert.equal(verdict === 'allowed', wanted, `${from} → ${to} ${family}: ${verdict}`);
        }
  });
  return { lab, vigil: () => new Vigil(lab, WATCHED) };
}

function takers() {
  return policy('takers', {
    podSelector: { matchLabels: { app: 'taker' } },
    policyTypes: ['Ingress'],
    ingress: [{ from: FRIENDS }],
  });
}

const restarted = (lab: Lab, node: string): Promise<unknown> =>
  eventually(async () => assert.equal((await lab.agent(node)).state, 'ready'));

/** Until the vigil has asked `n` more rounds. */
const rounds = (vigil: Vigil, n: number): Promise<void> => {
  const wanted = vigil.rounds + n;
  return eventually(() => assert.ok(vigil.rounds >= wanted), 60_000);
};

test('policies, labels, namespaces and pods change beside them: not one wrong verdict', async () => {
  const { lab, vigil } = await guarded();
  await using _ = lab;
  using watch = vigil();
  for (let i = 0; i < 6; i++) {
    const other = policy(`other-${i}`, {
      podSelector: i % 2 === 0 ? {} : { matchLabels: { app: 'taker' } },
      policyTypes: ['Ingress', 'Egress'],
      // Allows what the first ones deny only on a port that nobody asks.
      ingress: [{ ports: [{ port: 9000 + i }] }, { from: FRIENDS }],
      egress: [{}],
    });
    // One that selects every pod would close those that are open: give it to the friends as well.
    if (i % 2 === 0) other.spec = { ...(other.spec as object), policyTypes: ['Egress'], egress: [{}] };
    if (i % 2 === 0)
      (other.spec as { podSelector: unknown }).podSelector = { matchLabels: { role: 'friend' } };
    await lab.api.create(POLICIES, other);
    await lab.api.patch(`${POLICIES}/takers`, { metadata: { annotations: { round: String(i) } } });
    await lab.api.patch(`${POLICIES}/takers`, {
      spec: { ingress: i % 2 === 0 ? [{ from: FRIENDS }, { ports: [{ port: 9999 }] }] : [{ from: FRIENDS }] },
    });
    await label(lab, 'n2-b', { extra: String(i) });
    await label(lab, 'n1-a', { extra: String(i) });
    await lab.api.patch('/api/v1/namespaces/default', { metadata: { labels: { round: String(i) } } });
    await lab.addPod(`new-${i}`, NODES[i % 3], { role: 'friend' });
    await rounds(watch, 4);
    await lab.api.delete(`${POLICIES}/other-${i}`);
    await lab.removePod(`new-${i}`);
  }
  await watch.end(24);
});

test('agents restarted by SIGTERM and SIGKILL, and with the API server away: not one wrong verdict', async () => {
  const { lab, vigil } = await guarded();
  await using _ = lab;
  using watch = vigil();
  for (const how of ['term', 'kill'])
    for (const node of NODES) {
      await lab.fault('agent', node, how);
      await rounds(watch, 2);
      await lab.fault('agent', node, 'start');
      await restarted(lab, node);
    }
  await lab.fault('api', 'away');
  for (const node of NODES) await lab.fault('agent', node, 'kill');
  for (const node of NODES) await lab.fault('agent', node, 'start');
  await rounds(watch, 20);
  await lab.fault('api', 'back');
  for (const node of NODES) await restarted(lab, node);
  await rounds(watch, 4);
  await watch.end(40);
});

test('SIGKILL after every k-th kernel call while policies change: not one wrong verdict, and the change is done', async (t) => {
  const { lab, vigil } = await guarded();
  await using _ = lab;
  using watch = vigil();
  let deaths = 0;
  // An agent that comes back makes few calls for one change: several changes give it more places to die at.
  for (let change = 0; change < 3; change++) {
    let survived = false;
    for (let k = 1; !survived && k <= MOST_CALLS; k++) {
      const mark = `${change}-${k}`;
      if (deaths + change + k > 1) await lab.api.delete(`${POLICIES}/extra`);
      await lab.api.create(
        POLICIES,
        policy('extra', {
          podSelector: { matchLabels: { app: 'taker' } },
          policyTypes: ['Ingress'],
          ingress: [{ from: [{ podSelector: { matchLabels: { mark } } }], ports: [{ port: 7000 + k }] }],
        }),
      );
      await label(lab, 'n2-b', { mark });
      const end = await lab.fault('kill-after', 'n1', String(k));
      survived = end === 'survived';
      if (!survived) {
        assert.equal(end, 'SIGKILL', `k = ${k}`);
        deaths++;
        await lab.fault('agent', 'n1', 'start');
      }
      await restarted(lab, 'n1');
      const chain = await lab.run(
        'n1',
        'nft',
        'list',
        'chain',
        'inet',
        'fairlead',
        'policy/default/extra/ingress',
      );
      assert.match(chain, new RegExp(`${7000 + k}`), `k = ${k}`);
    }
    assert.ok(survived, 'the fault never ended');
  }
  t.diagnostic(`died ${deaths} times`);
  assert.ok(deaths >= 6, `died ${deaths} times: the fault was not met`);
  await watch.end(50);
});

test('other tables are flushed and deleted: ours stays, not one wrong verdict', async () => {
  const { lab, vigil } = await guarded();
  await using _ = lab;
  using watch = vigil();
  for (let i = 0; i < 5; i++) {
    const chain = 'add table inet foreign; add chain inet foreign c { type filter hook forward priority 5; }';
    await lab.run('n1', 'nft', chain);
    await rounds(watch, 2);
    await lab.run('n1', 'nft', i % 2 === 0 ? 'flush table inet foreign' : 'delete table inet foreign');
    if (i % 2 === 0) await lab.run('n1', 'nft', 'delete table inet foreign');
  }
  await watch.end(10);
});

test('a policy that is away for a moment does not escape the vigil', async () => {
  const { lab, vigil } = await guarded();
  await using _ = lab;
  using watch = vigil();
  await rounds(watch, 2);
  await lab.api.delete(`${POLICIES}/takers`);
  await rounds(watch, 4);
  await lab.api.create(POLICIES, takers());
  await assert.rejects(watch.end(6), /wrong verdicts/);
});
