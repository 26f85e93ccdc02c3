/** A real container runtime on a node of a lab: our conflist, CNI plugin, image and manifest in its hands, judged by packets. */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { writeArchive } from '../../scripts/oci.ts';
import { eventually, Lab } from '../../src/lab/client.ts';
import type { PodObject } from '../../src/lab/kubelet/pod-object.ts';
import type { Birth } from '../../src/model/cluster/birth.ts';
import { familyOf } from '../../src/model/net/ip.ts';
import { ours } from '../lab/support/dump.ts';
import { agentsReady } from '../lab/support/expect.ts';
import { hostLinks, hostMounts } from '../lab/support/processes.ts';
import { Containerd, cannotRun, groupOf, membersOf, PAUSE, type Sandbox, sweep } from './containerd.ts';
import { agentContainer } from './manifest.ts';

const PODS = '/api/v1/namespaces/default/pods';
const POLICIES = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies';
const ROOT = join(import.meta.dirname, '../..');
/** As deploy/fairlead.yaml names it. */
const IMAGE = 'fairlead:0.1.0';
/** MILLISECONDS ADDRESS…: asks port 8080 of each, at once; one word each. */
const FIRST_ACTION = `
const [timeout, ...hosts] = process.argv.slice(1);
const ask = (host) => new Promise((resolve) => {
  const socket = require('node:net').connect({ host, port: 8080, timeout: Number(timeout) });
  socket.on('connect', () => resolve('allowed')).on('timeout', () => resolve('dropped')).on('error', (e) => resolve(e.code));
});
Promise.all(hosts.map(ask)).then((words) => { console.log(words.join(' ')); process.exit(); });
`;
/** Links, namespaces and address leases of a node's pods. */
const LEFT = `ip -o link | sed 's/^[0-9]*: //' | sort; ls /run/netns /var/lib/cni/networks/fairlead | grep -v last_reserved`;

describe('containerd', { skip: cannotRun() }, () => {
  const host = { links: hostLinks(), mounts: hostMounts() };
  let lab: Lab;
  let runtime: Containerd;
  let clean: readonly string[];
  let stranger: Promise<unknown>;

  before(async () => {
    lab = await Lab.start({ nodes: 2, pods: 1 });
    await agentsReady(lab);
    runtime = await Containerd.start(lab, 'n1');
    await importPause();
    await policy('deny', {});
    clean = await left();
    // The plugin waits half a minute for the API server to know it; meanwhile the others come and go.
    stranger = runtime.run({ name: 'stranger', uid: 'nobody' }).catch((error: unknown) => error);
    await importOurs();
  });

  after(async () => {
    runtime?.close();
    await lab?.close();
    sweep();
  });

  test('a pod that policies deny is closed from its first packet, and opens when one allows', async () => {
    const sandbox = await runtime.run(await pod('web'));
    assert.deepEqual(
      sandbox.ips.map((ip) => familyOf(ip)),
      ['ipv4', 'ipv6'],
    );
    assert.deepEqual(born()['default/web'], sandbox.ips);
    assert.deepEqual(await kept('web'), births().find(({ pod }) => pod === 'default/web')?.attached);
    assert.equal(await firstAction(sandbox, 500), 'dropped dropped dropped dropped');
    assert.equal(await asked(sandbox), 'dropped dropped dropped dropped');
    await policy('allow', { ingress: [{}], egress: [{}] });
    // Nobody listens in it: what is let in is refused by its kernel.
    await eventually(async () => assert.equal(await asked(sandbox), 'rejected rejected rejected rejected'));
    assert.equal(await firstAction(sandbox, 5_000), 'allowed allowed allowed allowed');
    assert.match(await runtime.output(sandbox, IMAGE, { 4: ['--version'] }), /^fairlead 0\.1\.0 /);
    await remove('web', sandbox);
    await lab.api.delete(`${POLICIES}/allow`);
  });

  test('a pod that the API server does not know is refused in words; nothing is left of it, nor of the one that went', async () => {
    assert.match(
      String(await stranger),
      /RunPodSandbox: .*the rules of Pod default\/stranger are not in the kernel after 30 s; the API server has not told of Pod default\/stranger with uid nobody/,
    );
    await eventually(async () => assert.deepEqual(await left(), clean));
  });

  test('an agent that is killed and started while a pod is born: the pod is born, and closed', async () => {
    await lab.fault('api', 'away', 'n1');
    const running = pod('late').then((late) => runtime.run(late));
    await eventually(() => assert.equal(born()['default/late']?.length, 2));
    await lab.fault('agent', 'n1', 'kill');
    await lab.fault('api', 'back', 'n1');
    await lab.fault('agent', 'n1', 'start');
    const sandbox = await running;
    assert.equal(await asked(sandbox), 'dropped dropped dropped dropped');
    await remove('late', sandbox);
    await eventually(async () => assert.deepEqual(await left(), clean));
  });

  test('the agent out of the image, with the rights of the manifest, does all of its work', async () => {
    await lab.fault('agent', 'n1', 'kill');
    // Where a lab's nodes have what the manifest mounts; and a kubeconfig in place of the service account.
    const places = { config: '/run/fairlead', 'cni-conf': '/run/cni/net.d' };
    const node = join(lab.dir, 'nodes/n1');
    copyFileSync(join(node, 'kubeconfig'), join(node, 'run/kubeconfig'));
    const wanted = agentContainer('n1', ['--kubeconfig', '/run/fairlead/kubeconfig'], places);
    const sandbox = await runtime.run({ name: 'fairlead', uid: 'agent', hostNetwork: true });
    const { log } = await runtime.container(sandbox, IMAGE, wanted);
    await eventually(async () => {
      const status = await lab.agent('n1').catch(() => undefined);
      assert.equal(status?.state, 'ready', readFileSync(log, 'utf8').slice(-2000));
    }, 20_000);
    // Somebody changes a sysctl, routes and rules: it repairs each.
    await lab.run('n1', 'sh', '-c', 'echo 0 >/proc/sys/net/ipv4/ip_forward');
    for (const kind of ['route-flush', 'nft-delete']) await lab.fault('drift', 'n1', kind);
    await eventually(async () => assert.deepEqual(await left(), clean), 20_000);
    const last = await runtime.run(await pod('last'));
    assert.equal(await asked(last), 'dropped dropped dropped dropped');
    assert.deepEqual(born()['default/last'], last.ips);
    await remove('last', last);
    await lab.fault('drift', 'n1', 'conflist-delete');
    await eventually(async () => assert.deepEqual(await left(), clean));
  });

  test('nothing of containerd outlives the lab', async () => {
    const group = groupOf(lab);
    const words = membersOf(group).join('\n');
    for (const name of ['containerd', '/usr/bin/containerd-shim-runc-v2', '/pause', '/fairlead/node'])
      assert.match(words, new RegExp(`^${name} `, 'm'));
    await lab.close();
    await eventually(() => assert.deepEqual(membersOf(group), []), 3_000);
    assert.ok(!existsSync(lab.dir));
    assert.deepEqual({ links: hostLinks(), mounts: hostMounts() }, host);
    // A cgroup with a process in it, wherever that lives, cannot be removed.
    await eventually(() => assert.ok(!sweep().stdout.includes(group)));
  });

  /** As a kubelet does: the sandbox, and then the Pod. The first alone takes its addresses from all places. */
  async function remove(name: string, sandbox: Sandbox): Promise<void> {
    await runtime.remove(sandbox);
    await eventually(async () => {
      const lines = await left();
      for (const ip of sandbox.ips)
        assert.deepEqual(
          lines.filter((line) => line.includes(ip)),
          [],
        );
    });
    await lab.api.delete(`${PODS}/${name}`, { gracePeriodSeconds: 0 });
  }

  /** A Pod on n1 that the lab's kubelet leaves to us, and that policies select. */
  async function pod(name: string): Promise<{ name: string; uid: string }> {
    const { metadata } = await lab.api.create<PodObject>(PODS, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels: { app: 'born' } },
      spec: {
        nodeName: 'n1',
        runtimeClassName: 'containerd',
        automountServiceAccountToken: false,
        containers: [{ name: 'main', image: IMAGE }],
      },
    });
    return { name, uid: metadata.uid ?? '' };
  }

  async function policy(name: string, rules: object): Promise<void> {
    await lab.api.create(POLICIES, {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name },
      spec: {
        podSelector: { matchLabels: { app: 'born' } },
        policyTypes: ['Ingress', 'Egress'],
        ...rules,
      },
    });
  }

  /** What a container hears from the lab's pods, of its own node and of another one, when it asks them before all else. */
  async function firstAction(sandbox: Sandbox, patience: number): Promise<string> {
    const targets = (await lab.status()).pods.flatMap(({ ips }) => ips);
    const command = ['/fairlead/node', '-e', FIRST_ACTION, String(patience), ...targets];
    return (await runtime.output(sandbox, IMAGE, { 3: command })).trim();
  }

  /** What the lab's pods hear from it, each family. */
  async function asked({ ips }: Sandbox): Promise<string> {
    const rest = { protocol: 'tcp', port: 8080, timeout: 500 } as const;
    const requests = ['default/n1-a', 'default/n2-a'].flatMap((from) =>
      ips.map((to) => ({ from, to, family: familyOf(to), ...rest })),
    );
    return (await lab.ask(requests)).map(({ verdict }) => verdict).join(' ');
  }

  function births(): readonly Birth[] {
    const text = readFileSync(join(lab.dir, 'nodes/n1/run/births.json'), 'utf8');
    const { births } = JSON.parse(text) as { births: Readonly<Record<string, Birth>> };
    return Object.values(births);
  }

  /** Addresses by pod. */
  function born(): Readonly<Record<string, Birth['ips']>> {
    return Object.fromEntries(births().map(({ pod, ips }) => [pod, ips]));
  }

  /** Where the pod of that name hangs, as an agent reads it out of what containerd keeps. */
  async function kept(name: string): Promise<unknown> {
    const program = `import { readKeptResults, CNI_RESULTS } from '${ROOT}/src/sources/host/cni-results.ts';
      import { attachedTo } from '${ROOT}/src/agent/cni-result.ts';
      const one = readKeptResults(CNI_RESULTS).find(({ ifname, args }) => ifname === 'eth0' && args.get('K8S_POD_NAME') === '${name}');
      console.log(JSON.stringify(attachedTo(one?.result, one?.ifname ?? '').attached ?? null));`;
    return JSON.parse(await lab.run('n1', process.execPath, '--input-type=module', '-e', program));
  }

  /** Everything on n1 that a pod could leave behind. */
  async function left(): Promise<readonly string[]> {
    const [rules, links] = [await ours(lab, 'n1'), await lab.run('n1', 'sh', '-c', LEFT)];
    return [...`${rules}${links}`.split('\n'), JSON.stringify(born())];
  }

  /** Sleeps for ever, as the first process of a pod. */
  async function importPause(): Promise<void> {
    const [program, archive] = ['pause', 'pause.tar'].map((name) => join(lab.dir, name)) as [string, string];
    const source = '#include <unistd.h>\nint main(void) { for (;;) pause(); }\n';
    execFileSync('cc', ['-static', '-x', 'c', '-o', program, '-'], { input: source });
    const layers = [{ name: 'pause', files: { '/pause': program } }];
    writeArchive({ name: PAUSE, config: { Entrypoint: ['/pause'] }, layers }, archive);
    await runtime.import('/run/lab/pause.tar', PAUSE);
  }

  async function importOurs(): Promise<void> {
    const args = [join(ROOT, 'scripts/image.ts'), '--output', join(lab.dir, 'ours.tar')];
    await promisify(execFile)(process.execPath, args);
    await runtime.import('/run/lab/ours.tar', IMAGE);
  }
});
