/** Every kubectl of this machine against the lab's API server and the real one: the same questions, the same answers. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startApiServer } from '../../src/lab/apiserver/server.ts';
import { eventually } from '../../src/lab/client.ts';
import { Kubectl, kubectls } from './kubectl.ts';
import { startRealServer } from './real-server.ts';

interface Served {
  readonly kubeconfig: string;
  close(): Promise<void>;
}

const folder = mkdtempSync(join(tmpdir(), 'fairlead-kubectl-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const SERVERS: Readonly<Record<string, () => Promise<Served>>> = {
  'the lab API server': async () => {
    const podCidrs = ['10.244.0.0/16', 'fd00:10:244::/48'];
    const server = await startApiServer({ tls: true, token: 'lab', podCidrs });
    const kubeconfig = join(folder, 'lab.kubeconfig');
    writeFileSync(kubeconfig, server.kubeconfig(), { mode: 0o600 });
    return { kubeconfig, close: () => server.close() };
  },
  'kube-apiserver': () => startRealServer({ controllers: true }),
};

for (const [server, start] of Object.entries(SERVERS)) {
  describe(server, () => {
    let served: Served | undefined;
    before(async () => {
      served = await start();
    });
    after(() => served?.close());
    for (const [name, command] of kubectls())
      describe(name, () => questions(() => served?.kubeconfig ?? '', command));
  });
}

function questions(kubeconfig: () => string, command: readonly string[]): void {
  let k: Kubectl;
  const metadata = { name: 'n1', labels: { zone: 'a' } };
  before(() => {
    const home = mkdtempSync(join(folder, 'home-'));
    mkdirSync(home, { recursive: true });
    k = new Kubectl(command, kubeconfig(), home);
  });

  test('nodes: create, get -o wide, describe, label, annotate, cordon, delete', async () => {
    await k.ok('create -f -', { apiVersion: 'v1', kind: 'Node', metadata });
    const status = { addresses: [{ type: 'InternalIP', address: '192.0.2.11' }] };
    await k.ok(`patch node n1 --subresource=status --type=merge -p ${JSON.stringify({ status })}`);
    const wide = await k.ok('get nodes -A -o wide');
    assert.match(wide, /^NAME +STATUS +ROLES +AGE +VERSION +INTERNAL-IP +EXTERNAL-IP +OS-IMAGE/);
    assert.match(wide, /^n1 +Unknown +<none> +\S+ +192\.0\.2\.11 +<none> +<unknown> +<unknown> +<unknown>/m);
    assert.equal(await k.ok('label node n1 topology=a'), 'node/n1 labeled\n');
    assert.equal(await k.ok('label node n1 topology=a'), 'node/n1 not labeled\n');
    assert.match(await k.refused('label node n1 topology=b'), /'topology' already has a value \(a\)/);
    assert.equal(await k.ok('annotate node n1 note=hello'), 'node/n1 annotated\n');
    assert.equal(await k.ok('cordon n1'), 'node/n1 cordoned\n');
    // The real controller-manager gives the ranges moments later.
    await eventually(async () => {
      const shown = await k.ok('describe node n1');
      assert.match(shown, /^Name: +n1$/m);
      assert.match(shown, /topology=a/);
      assert.match(shown, /note: hello/);
      assert.match(shown, /^Unschedulable: +true$/m);
      assert.match(shown, /^PodCIDRs: +10\.244\.\d+\.0\/24,fd00:10:244[\da-f:]*\/64$/m);
    });
    assert.match(await k.ok('get nodes -l zone=a -o name'), /^node\/n1\n$/);
    assert.match(await k.ok('delete node n1'), /^node "n1" deleted/);
    assert.match(await k.refused('get node n1'), /\(NotFound\): nodes "n1" not found/);
  });

  test('pods: get -A -o wide, describe', async () => {
    await accounts(k);
    await k.ok('create -f -', pod('p', 'n2'));
    const wide = await k.ok('get pods -A -o wide');
    assert.match(
      wide,
      /^NAMESPACE +NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES/,
    );
    assert.match(wide, /^default +p +0\/1 +Pending +0 +\S+ +<none> +n2 +<none> +<none>/m);
    assert.match(await k.ok('get nodes,pods -A -o wide'), /^default +pod\/p +0\/1|^default +p +0\/1/m);
    const shown = await k.ok('describe pod p');
    assert.match(shown, /^Node: +n2/m);
    assert.match(shown, /^ +Image: +example\/none$/m);
    assert.match(await k.ok('delete pod p --force --grace-period=0'), /pod "p" force deleted/);
  });

  test('apply: created, configured, unchanged; what is taken out of the file goes; diff', async () => {
    assert.match(await k.ok('apply -f -', policy('ap', [80, 81])), /ap created/);
    assert.match(await k.ok('apply -f -', policy('ap', [80])), /ap configured/);
    assert.match(await k.ok('apply -f -', policy('ap', [80])), /ap unchanged/);
    assert.equal(await k.ok('get netpol ap -o jsonpath={.spec.ingress[0].ports[*].port}'), '80');
    assert.match((await k.ask('diff -f -', policy('ap', [90]))).out, /^\+.*port: 90/m);
    await k.ok('delete netpol ap');
  });

  test('apply --server-side: conflict, --force-conflicts, fields given up', async () => {
    const config = (data: object) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'ssa' },
      data,
    });
    assert.match(
      await k.ok('apply --server-side -f -', config({ a: '1', b: '1' })),
      /ssa serverside-applied/,
    );
    const refused = await k.refused('apply --server-side --field-manager=other -f -', config({ a: '2' }));
    assert.match(refused, /Apply failed with 1 conflict: conflict with "kubectl": \.data\.a/);
    await k.ok('apply --server-side --field-manager=other --force-conflicts -f -', config({ a: '2' }));
    await k.ok('apply --server-side -f -', config({}));
    assert.equal(await k.ok('get cm ssa -o jsonpath={.data}'), '{"a":"2"}');
    assert.match(await k.ok('get cm ssa -o yaml --show-managed-fields'), /manager: other/);
    await k.ok('delete cm ssa');
  });

  test('create --dry-run=server stores nothing; strict validation names the field', async () => {
    assert.match(
      await k.ok('create --dry-run=server -f -', policy('dry', [80])),
      /created \(server dry run\)/,
    );
    assert.match(await k.refused('get netpol dry'), /NotFound/);
    const typo = JSON.stringify(policy('typo', [80])).replace('podSelector', 'podSelektor');
    assert.match(await k.refused('create -f -', typo), /unknown field "spec\.podSelektor"/);
    assert.match(
      await k.refused('create -f -', policy('Bad_Name', [80])),
      /metadata\.name: Invalid value: "Bad_Name"/,
    );
  });

  test('explain', async () => {
    assert.match(await k.ok('explain nodes'), /^KIND: +Node$/m);
    assert.match(await k.ok('explain pod.spec.containers'), /^ +image\s+<string>/m);
    assert.match(await k.ok('explain netpol.spec --recursive'), /^ +podSelector/m);
    assert.match(await k.refused('explain pod.spec.nonsense'), /field "nonsense" does not exist/);
  });

  test('get -w: what is there, then what comes', async () => {
    await accounts(k);
    const child = k.start('get pods -A -w -o wide');
    let seen = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      seen += text;
    });
    const shows = (pattern: RegExp) => eventually(() => assert.match(seen, pattern), 10_000);
    try {
      await k.ok('create -f -', pod('w', 'n2'));
      await shows(/^default +w +0\/1 +Pending +0 +\S+ +<none> +n2 /m);
      await k.ok('delete pod w --wait=false');
      await shows(/^default +w +0\/1 +Terminating /m);
    } finally {
      child.kill();
      await k.ask('delete pod w --force --grace-period=0');
    }
  });

  test('a namespace goes with what is in it', async () => {
    await k.ok('create namespace gone');
    await k.ok('create configmap c --from-literal=a=b -n gone');
    assert.match(await k.ok('delete namespace gone'), /namespace "gone" deleted/);
    assert.match(await k.refused('get cm c -n gone'), /NotFound/);
  });

  test('a custom resource: served, in columns, validated, gone', async () => {
    await k.ok('apply -f -', CRD);
    await k.ok('wait --for=condition=Established crd/wheels.example.com --timeout=10s');
    const wheel = (size: number) => ({
      apiVersion: 'example.com/v1',
      kind: 'Wheel',
      metadata: { name: 'w' },
      spec: { size },
    });
    await eventually(() => k.ok('apply -f -', wheel(3)));
    assert.match(await k.ok('get wh'), /^NAME +SIZE\nw +3/);
    assert.match(await k.refused('apply -f -', wheel(0)), /spec\.size.*should be greater than or equal to 1/);
    await k.ok('delete crd wheels.example.com');
    await eventually(() => k.refused('get wheels'));
  });
}

/** The account that pods run as; the real controller-manager makes it, too. */
async function accounts(k: Kubectl): Promise<void> {
  const { code, err } = await k.ask('create serviceaccount default');
  assert.ok(code === 0 || /AlreadyExists|already exists/.test(err), err);
}

const pod = (name: string, nodeName: string): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: {
    nodeName,
    automountServiceAccountToken: false,
    containers: [{ name: 'a', image: 'example/none' }],
  },
});

const policy = (name: string, ports: readonly number[]): object => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name },
  spec: {
    podSelector: { matchLabels: { app: 'web' } },
    ingress: [{ ports: ports.map((port) => ({ port, protocol: 'TCP' })) }],
  },
});

const CRD = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'wheels.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'wheels', kind: 'Wheel', shortNames: ['wh'] },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        additionalPrinterColumns: [{ name: 'Size', type: 'integer', jsonPath: '.spec.size' }],
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                required: ['size'],
                properties: { size: { type: 'integer', minimum: 1 } },
              },
            },
          },
        },
      },
    ],
  },
};
