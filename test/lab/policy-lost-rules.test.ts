/** Rules that go while no agent runs, and an API server that is away when the next one starts: closed until the policies are known. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, Lab } from '../../src/lab/client.ts';
import { agentsReady } from './support/expect.ts';
import { type Pair, Vigil } from './support/vigil.ts';

const POLICIES = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies';
const PODS = '/api/v1/namespaces/default/pods';
/** n1-a takes from friends only. */
const DENIED: readonly Pair[] = [
  ['default/n1-b', 'default/n1-a'],
  ['default/n2-b', 'default/n1-a'],
];
const ALLOWED: Pair = ['default/n2-a', 'default/n1-a'];
const OF_THE_NODE: Pair = ['n1', 'default/n1-a'];

for (const plugin of ['bridge', 'ptp'] as const) {
  test(`rules are flushed, agent and API server are away: pods are closed until policies are known (${plugin})`, async () => {
    const lab = await guarded({ cni: { plugin } });
    await using _ = lab;
    await lab.fault('api', 'away');
    await lab.fault('agent', 'n1', 'kill');
    await lab.run('n1', 'nft', 'flush', 'ruleset');
    for (const pair of DENIED) await verdict(lab, pair, true);
    await lab.fault('agent', 'n1', 'start');
    await eventually(() => Promise.all(DENIED.map((pair) => verdict(lab, pair, false))));
    using watch = new Vigil(lab, { denied: DENIED, allowed: [OF_THE_NODE] });
    await verdict(lab, ALLOWED, false);
    const { problems } = await lab.agent('n1');
    assert.match(problems.map(({ message }) => message).join(), /the rules of policies are gone/);
    await rounds(watch, 10);
    // It stays like that when it is started again, and is opened when it knows.
    await lab.fault('agent', 'n1', 'restart');
    await rounds(watch, 10);
    await verdict(lab, ALLOWED, false);
    await lab.fault('api', 'back');
    await eventually(() => verdict(lab, ALLOWED, true));
    await eventually(async () => assert.equal((await lab.agent('n1')).state, 'ready'));
    await rounds(watch, 10);
    assert.deepEqual((await lab.agent('n1')).problems, []);
    await watch.end(30);
  });
}

test('rules that go once more while the API server is still away are put back', async () => {
  await using lab = await guarded({});
  await lab.fault('api', 'away');
  await lab.fault('agent', 'n1', 'kill');
  await lab.run('n1', 'nft', 'flush', 'ruleset');
  await lab.fault('agent', 'n1', 'start');
  await eventually(() => Promise.all(DENIED.map((pair) => verdict(lab, pair, false))));
  await lab.run('n1', 'nft', 'flush', 'ruleset');
  await eventually(() => Promise.all(DENIED.map((pair) => verdict(lab, pair, false))));
  // Rules that the agent found at its start, and whose loss it sees.
  await lab.fault('api', 'back');
  await eventually(() => verdict(lab, ALLOWED, true));
  await lab.fault('api', 'away');
  await lab.fault('agent', 'n1', 'restart');
  await eventually(() => verdict(lab, ALLOWED, true));
  await lab.run('n1', 'nft', 'flush', 'ruleset');
  await eventually(() => Promise.all(DENIED.map((pair) => verdict(lab, pair, false))));
});

test('a first start, or one after a reboot, closes nothing; pods that are born then wait for their policies', async () => {
  await using lab = await guarded({});
  await lab.fault('api', 'away');
  await lab.fault('agent', 'n1', 'kill');
  await lab.run('n1', 'nft', 'flush', 'ruleset');
  await lab.run('n1', 'sh', '-c', 'rm /run/fairlead/guarded.json /run/fairlead/births.json');
  await lab.fault('agent', 'n1', 'start');
  await lab.addPod('late', 'n1');
  await eventually(async () => {
    const { sources } = await lab.agent('n1');
    assert.equal(sources.find(({ name }) => name === 'births')?.objects, 1, 'its ADD has come');
  });
  using watch = new Vigil(lab, { denied: [], allowed: [ALLOWED] });
  await rounds(watch, 20);
  assert.notEqual(await phase(lab, 'late'), 'Running');
  await lab.fault('api', 'back');
  await eventually(async () => assert.equal(await phase(lab, 'late'), 'Running'));
  await watch.end(20);
});

async function guarded(config: Readonly<Record<string, unknown>>): Promise<Lab> {
  const lab = await Lab.start({ nodes: 2, pods: 2, config });
  await agentsReady(lab);
  await lab.api.patch(`${PODS}/n1-a`, { metadata: { labels: { app: 'taker' } } });
  await lab.api.patch(`${PODS}/n2-a`, { metadata: { labels: { role: 'friend' } } });
  await lab.api.create(POLICIES, {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'takers' },
    spec: {
      podSelector: { matchLabels: { app: 'taker' } },
      policyTypes: ['Ingress'],
      ingress: [{ from: [{ podSelector: { matchLabels: { role: 'friend' } } }] }],
    },
  });
  await eventually(async () => {
    await verdict(lab, ALLOWED, true);
    for (const pair of DENIED) await verdict(lab, pair, false);
  });
  return lab;
}

async function verdict(lab: Lab, [from, to]: Pair, open: boolean): Promise<void> {
  for (const family of ['ipv4', 'ipv6'] as const) {
    const { verdict } = await lab.probe(from, to, { family, timeout: 300 });
    assert.equal(verdict === 'allowed', open, `${from} → ${to} ${family}: ${verdict}`);
  }
}

async function phase(lab: Lab, name: string): Promise<string> {
  const { status } = await lab.api.get<{ status: { phase: string } }>(`${PODS}/${name}`);
  return status.phase;
}

/** Until the vigil has asked `n` more rounds. */
const rounds = (vigil: Vigil, n: number): Promise<void> => {
  const wanted = vigil.rounds + n;
  return eventually(() => assert.ok(vigil.rounds >= wanted), 60_000);
};
