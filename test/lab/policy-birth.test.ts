/** A pod that policies select is closed from its first packet and opens with no timer: what its first container does first. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, Lab } from '../../src/lab/client.ts';
import { CalmTime } from '../../src/lab/deadline.ts';
import type { FirstAction } from '../../src/lab/kubelet/init-containers.ts';
import type { PodObject } from '../../src/lab/kubelet/pod-object.ts';
import { agentsReady } from './support/expect.ts';

const PODS = '/api/v1/namespaces/default/pods';
const POLICIES = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies';
const PORT = 8080;
/** A denied packet is dropped silently: a question waits this long for nothing. */
const DENIED_MS = 400;
const WAVE = 8;

/** From pods with `role: born`, only those with `app: open` are reached, and these let in only pods with `role: born`. */
const EGRESS = policy('born', { role: 'born' }, { egress: [{ to: [peer({ app: 'open' })] }] });
const INGRESS = policy('open', { app: 'open' }, { ingress: [{ from: [peer({ role: 'born' })] }] });

test('200 pods: the first packet of none passes that must not, and what may pass does so at once', async (t) => {
  // Pods that nobody knows are open here: it is their births that close them.
  await using lab = await Lab.start({ nodes: 2, pods: 1, config: { policy: { unknownPods: 'open' } } });
  await agentsReady(lab);
  const targets = await servers(lab);
  await apply(lab, EGRESS, INGRESS);
  const began = performance.now();
  const calm = new CalmTime();
  const looks = setInterval(() => calm.ms, 50).unref();
  const done: Born[] = [];
  // In small waves that go again: a burst on a busy machine would be measured and not the rules, and all pods of a machine, the lab's too,
  // share one table of 1,024 neighbours (net.ipv6.neigh.default.gc_thresh3).
  for (let i = 0; i < 200; i += WAVE) {
    const names = Array.from({ length: WAVE }, (_, k) => `born-${i + k}`);
    done.push(...(await Promise.all(names.map((name, k) => born(lab, name, `n${(k % 2) + 1}`, targets)))));
    await Promise.all(names.map((name) => lab.removePod(name)));
  }
  clearInterval(looks);
  const took = performance.now() - began;
  assert.equal(done.length, 200);
  const denied = done.flatMap(({ denied }) => denied);
  assert.equal(denied.length, 2 * 200, 'one question of each family');
  assert.deepEqual(
    denied.filter(({ verdict }) => verdict !== 'dropped'),
    [],
  );
  const allowed = done.flatMap(({ allowed }) => allowed);
  assert.deepEqual(
    allowed.filter(({ verdict }) => verdict !== 'allowed'),
    [],
  );
  const ms = allowed.map((action) => action.ms).sort((a, b) => a - b);
  const at = (share: number) => ms[Math.floor(share * (ms.length - 1))] ?? Number.NaN;
  t.diagnostic(
    `${done.length} pods in ${Math.round(took)} ms; 0 of ${denied.length} denied first packets passed; ` +
      `allowed ones answered after p50 ${at(0.5)}, p90 ${at(0.9)}, p99 ${at(0.99)}, most ${at(1)} ms of the container's life`,
  );
  const median = (at(0.5) * calm.ms) / took;
  assert.ok(median <= 100, `median ${at(0.5)} ms, ${median} ms of a calm machine`);
  const control = await lab.probe('default/n1-a', targets.shut[0] ?? '', { timeout: 5_000 });
  assert.equal(control.verdict, 'allowed', 'what was denied answers those that no policy holds');
});

test('an agent that dies again and again while pods are born opens none of them and loses none', async () => {
  await using lab = await Lab.start({ nodes: 1, pods: 1 });
  await agentsReady(lab);
  const targets = await servers(lab);
  await apply(lab, EGRESS, INGRESS);
  const done: Born[] = [];
  const births = async () =>
    (await lab.agent('n1')).sources.find(({ name }) => name === 'births')?.objects ?? 0;
  for (let round = 0; round < 6; round++) {
    const before = await births();
    const pods = Promise.all(
      Array.from({ length: 5 }, (_, i) => born(lab, `born-${round}-${i}`, 'n1', targets)),
    );
    // Each time when one more of the five is under way.
    await eventually(async () => assert.ok((await births()) >= before + (round % 5)));
    await lab.fault('agent', 'n1', 'restart');
    done.push(...(await pods));
  }
  assert.equal(done.flatMap(({ denied, allowed }) => [...denied, ...allowed]).length, 6 * 5 * 4);
  assert.deepEqual(
    done.flatMap(({ denied }) => denied).filter(({ verdict }) => verdict !== 'dropped'),
    [],
  );
  assert.deepEqual(
    done.flatMap(({ allowed }) => allowed).filter(({ verdict }) => verdict !== 'allowed'),
    [],
  );
});

test('a pod that is deleted while its network is made does not hold up the next of its name', async () => {
  await using lab = await Lab.start({ nodes: 2, pods: 0 });
  await agentsReady(lab);
  for (let round = 0; round < 3; round++) {
    // The plugin asks for a pod that is gone by then: the agent would wait half a minute for it.
    await lab.addPod('twice', 'n1');
    await lab.api.delete(`${PODS}/twice`, { gracePeriodSeconds: 0 });
    await lab.addPod('twice', 'n2');
    await eventually(async () => {
      const { pods } = await lab.status();
      assert.ok(pods.some(({ node, running }) => node === 'n2' && running));
    }, 20_000);
    await lab.removePod('twice');
    await eventually(async () => assert.deepEqual((await lab.status()).pods, []));
  }
});

test('no agent: pods wait for it and are right when it is back; those that go do not wait', async () => {
  await using lab = await Lab.start({ nodes: 1, pods: 1 });
  await agentsReady(lab);
  const targets = await servers(lab);
  await apply(lab, EGRESS, INGRESS);
  await lab.fault('agent', 'n1', 'kill');
  const waiting = born(lab, 'waiting', 'n1', targets);
  // Longer than the plugin waits: it fails, and the kubelet tries again.
  await eventually(async () => {
    const { status } = await lab.api.get<Told>(`${PODS}/waiting`);
    assert.match(JSON.stringify(status), /the fairlead agent of this node did not answer/);
  }, 20_000);
  await lab.removePod('n1-a');
  await eventually(async () => {
    const { pods } = await lab.status();
    assert.ok(!pods.some(({ name }) => name === 'default/n1-a'));
  }, 4_000);
  await lab.fault('agent', 'n1', 'start');
  const { denied, allowed } = await waiting;
  assert.deepEqual(
    denied.map(({ verdict }) => verdict),
    ['dropped', 'dropped'],
  );
  assert.deepEqual(
    allowed.map(({ verdict }) => verdict),
    ['allowed', 'allowed'],
  );
});

test('a pod that gets the address of another inherits nothing, also when nobody was there to see the other go', async () => {
  await using lab = await Lab.start({ nodes: 1, pods: 1 });
  await agentsReady(lab);
  const targets = await servers(lab);
  await apply(lab, EGRESS, INGRESS);
  for (const seen of [true, false]) {
    const first = await born(lab, 'first', 'n1', targets);
    assert.deepEqual(
      first.allowed.map(({ verdict }) => verdict),
      ['allowed', 'allowed'],
    );
    if (!seen) await lab.fault('agent', 'n1', 'kill');
    await lab.removePod('first');
    await free(lab, first.ips);
    if (!seen) await lab.fault('agent', 'n1', 'start');
    // Nothing selects it, so it may ask everyone; those that let in only `role: born` must not answer.
    const second = await born(lab, 'second', 'n1', { open: [], shut: targets.open }, { role: 'stranger' });
    assert.deepEqual(second.ips, first.ips, 'the same addresses');
    assert.deepEqual(
      second.denied.map(({ verdict }) => verdict),
      ['dropped', 'dropped'],
    );
    await lab.removePod('second');
    await free(lab, second.ips);
  }
});

test('a bridge whose packets somebody hid from rules is opened to them again', async () => {
  await using lab = await Lab.start({ nodes: 1, pods: 1, agents: false });
  const path = '/proc/sys/net/bridge/bridge-nf-call-iptables';
  await lab.run('n1', 'sh', '-c', `echo 0 > ${path}`);
  await lab.fault('agent', 'n1', 'start');
  await eventually(async () => assert.equal((await lab.run('n1', 'cat', path)).trim(), '1'));
  await lab.fault('agent', 'n1', 'kill');
  await lab.run('n1', 'fairlead', 'cleanup', '--yes');
  assert.equal((await lab.run('n1', 'cat', path)).trim(), '0', 'as it was before us');
});

/** Resolves when host-local has these addresses back and begins again with the lowest that is free, not after the last that it gave. */
async function free(lab: Lab, ips: readonly string[]): Promise<void> {
  const leases = '/var/lib/cni/networks/fairlead';
  await eventually(async () => {
    const taken = (await lab.run('n1', 'ls', leases)).split('\n');
    assert.deepEqual(
      ips.filter((ip) => taken.includes(ip)),
      [],
    );
  });
  await lab.run('n1', 'sh', '-c', `rm -f ${leases}/last_reserved_ip.*`);
}

interface Servers {
  readonly open: readonly string[];
  readonly shut: readonly string[];
}

interface Born {
  readonly ips: readonly string[];
  readonly denied: readonly FirstAction[];
  readonly allowed: readonly FirstAction[];
}

type Told = PodObject & {
  readonly status?: {
    readonly initContainerStatuses?: readonly {
      readonly name: string;
      readonly state: { readonly terminated: { readonly message: string } };
    }[];
  };
};

/** Two pods on every node: one that is open to newborns, one that nothing holds but newborns may not reach. Addresses by family. */
async function servers(lab: Lab): Promise<Servers & { readonly byNode: Readonly<Record<string, Servers>> }> {
  const { nodes } = await lab.status();
  const byNode: Record<string, Servers> = {};
  for (const { name } of nodes) {
    await lab.addPod(`open-${name}`, name, { app: 'open' });
    await lab.addPod(`shut-${name}`, name, { app: 'shut' });
  }
  await lab.settled();
  const { pods } = await lab.status();
  const ips = (name: string) => pods.find((pod) => pod.name === `default/${name}`)?.ips ?? [];
  for (const { name } of nodes) byNode[name] = { open: ips(`open-${name}`), shut: ips(`shut-${name}`) };
  const first = byNode[nodes[0]?.name ?? ''] ?? assert.fail('no node');
  assert.deepEqual([first.open.length, first.shut.length], [2, 2]);
  return { ...first, byNode };
}

/** A pod whose first actions are questions to all of these, those of its own node where there is a choice. Resolves when it runs. */
async function born(
  lab: Lab,
  name: string,
  node: string,
  targets: Servers & { readonly byNode?: Readonly<Record<string, Servers>> },
  labels: Readonly<Record<string, string>> = { role: 'born' },
): Promise<Born> {
  const { open, shut } = targets.byNode?.[node] ?? targets;
  const ask = (kind: string, wait: number) => (address: string, i: number) => ({
    name: `${kind}-${i}`,
    image: 'lab/connect',
    args: ['tcp', address, String(PORT), String(wait)],
  });
  await lab.api.create(PODS, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels },
    spec: {
      nodeName: node,
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 0,
      initContainers: [...shut.map(ask('denied', DENIED_MS)), ...open.map(ask('allowed', 5_000))],
      containers: [{ name: 'echo', image: 'lab/echo' }],
    },
  });
  return eventually(async () => {
    const pod = await lab.api.get<Told>(`${PODS}/${name}`);
    assert.equal(pod.status?.phase, 'Running', `${name}: ${JSON.stringify(pod.status)}`);
    const actions = (kind: string) =>
      (pod.status?.initContainerStatuses ?? [])
        .filter((status) => status.name.startsWith(kind))
        .map((status) => JSON.parse(status.state.terminated.message) as FirstAction);
    const ips = (pod.status?.podIPs ?? []).map(({ ip }) => ip);
    return { ips, denied: actions('denied'), allowed: actions('allowed') };
  }, 60_000);
}

/** Resolves when the policies are in the kernels of all nodes. */
async function apply(lab: Lab, ...policies: readonly object[]): Promise<void> {
  for (const one of policies) await lab.api.create(POLICIES, one);
  const { nodes } = await lab.status();
  await eventually(async () => {
    for (const { name } of nodes) {
      const { sources, targets } = await lab.agent(name);
      assert.equal(sources.find((source) => source.name === 'networkPolicies')?.objects, policies.length);
      const nft = targets.find((target) => target.name === 'nft');
      assert.equal(nft?.done, nft?.wanted);
    }
  });
}

function peer(labels: Readonly<Record<string, string>>): object {
  return { podSelector: { matchLabels: labels } };
}

function policy(name: string, labels: Readonly<Record<string, string>>, rules: object): object {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name },
    spec: {
      podSelector: { matchLabels: labels },
      policyTypes: Object.keys(rules).map((key) => (key === 'egress' ? 'Egress' : 'Ingress')),
      ...rules,
    },
  };
}
