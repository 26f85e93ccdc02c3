/** The server as kubectl sees it: a client that nobody here wrote. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ApiServer, startApiServer } from './server.ts';

const missing = spawnSync('kubectl', ['version', '--client']).error !== undefined;
const skip = missing
  ? 'NOT COVERED: kubectl is not installed (Debian: apt-get install kubernetes-client)'
  : false;

const policy = (ports: number[]): string =>
  JSON.stringify({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'np', namespace: 'default' },
    spec: {
      podSelector: { matchLabels: { app: 'web' } },
      ingress: [{ ports: ports.map((port) => ({ port, protocol: 'TCP' })) }],
    },
  });

const crd = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: wheels.example.com }
spec:
  group: example.com
  scope: Namespaced
  names: { plural: wheels, kind: Wheel, shortNames: [wh] }
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns: [{ name: Size, type: integer, jsonPath: .spec.size }]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: { type: object, required: [size], properties: { size: { type: integer, minimum: 1 } } }
`;

describe('kubectl', { skip }, () => {
  let server: ApiServer;
  let folder: string;
  let number = 0;

  // Not spawnSync: the server lives in this process and must answer.
  const kubectl = (line: string, input?: string): Promise<{ code: number; out: string; err: string }> => {
    const child = start(line);
    let out = '';
    let err = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      out += chunk.toString();
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      err += chunk.toString();
    });
    child.stdin?.end(input);
    return new Promise((resolve) => child.on('close', (code) => resolve({ code: code ?? -1, out, err })));
  };
  const start = (line: string): ChildProcess =>
    spawn('kubectl', line.split(' '), {
      cwd: folder,
      env: { PATH: process.env.PATH, HOME: folder, KUBECONFIG: join(folder, 'config') },
    });
  /** Runs kubectl, which must succeed, and returns what it printed. */
  const ok = async (line: string, input?: string): Promise<string> => {
    const { code, out, err } = await kubectl(line, input);
    assert.equal(code, 0, `kubectl ${line}: ${err}`);
    return out;
  };
  const file = (text: string): string => {
    const path = join(folder, `${number++}.yaml`);
    writeFileSync(path, text);
    return path;
  };

  before(async () => {
    server = await startApiServer({ tls: true, token: 't', podCidrs: ['10.1.0.0/16', 'fd00:1::/48'] });
    folder = mkdtempSync(join(tmpdir(), 'kubectl-'));
    writeFileSync(join(folder, 'config'), server.kubeconfig());
  });
  after(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });

  test('get, describe, label, annotate, cordon, taint, delete a node', async () => {
    await ok('create -f -', JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } }));
    assert.match(
      await ok('get nodes -o wide'),
      /NAME +STATUS +ROLES +AGE +VERSION +INTERNAL-IP.*\nn1 +Unknown +<none>/,
    );
    await ok('label node n1 topology=a');
    await ok('annotate node n1 note=hello');
    await ok('taint node n1 k=v:NoSchedule');
    await ok('cordon n1');
    const shown = await ok('describe node n1');
    assert.match(shown, /topology=a/);
    assert.match(shown, /note: hello/);
    assert.match(shown, /k=v:NoSchedule/);
    assert.match(shown, /PodCIDRs: +10\.1\.0\.0\/24,fd00:1::\/64/);
    assert.match(await ok('get nodes'), /SchedulingDisabled/);
    assert.match(await ok('delete node n1'), /node "n1" deleted/);
  });

  test('apply: create, change, unchanged, and what is taken out of the file goes', async () => {
    assert.match(await ok(`apply -f ${file(policy([80, 81]))}`), /created/);
    const changed = file(policy([80]));
    assert.match(await ok(`apply -f ${changed}`), /configured/);
    assert.match(await ok(`apply -f ${changed}`), /unchanged/);
    assert.equal(await ok('get netpol np -o jsonpath={.spec.ingress[0].ports[*].port}'), '80');
    assert.match(await ok('get netpol'), /np +app=web/);
    assert.match((await kubectl(`diff -f ${file(policy([90]))}`)).out, /\+.*port: 90/);
  });

  test('apply --server-side, with conflicts and --force-conflicts', async () => {
    const config = (value: string): string =>
      file(
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: 'ssa' },
          data: { a: value },
        }),
      );
    assert.match(await ok(`apply --server-side -f ${config('1')}`), /serverside-applied/);
    const refused = await kubectl(`apply --server-side --field-manager=other -f ${config('2')}`);
    assert.match(refused.err, /conflict with "kubectl": \.data\.a/);
    await ok(`apply --server-side --field-manager=other --force-conflicts -f ${config('2')}`);
    assert.equal(await ok('get cm ssa -o jsonpath={.data.a}'), '2');
  });

  test('create --dry-run=server, and strict validation', async () => {
    assert.match(await ok('create --dry-run=server -f -', policy([80]).replace('"np"', '"dry"')), /dry run/);
    assert.equal((await kubectl('get netpol dry')).code, 1);
    const typo = policy([80]).replace('podSelector', 'podSelektor').replace('"np"', '"typo"');
    assert.match((await kubectl('create -f -', typo)).err, /unknown field "spec.podSelektor"/);
  });

  test('explain', async () => {
    assert.match(await ok('explain nodes'), /KIND: +Node/);
    assert.match(await ok('explain pod.spec.containers'), /image\s+<string>/);
    assert.match(await ok('explain netpol.spec --recursive'), /podSelector/);
  });

  test('get -w shows what happens', { timeout: 120_000 }, async () => {
    const child = start('get pods -A -o wide -w');
    let seen = '';
    const shows = (pattern: RegExp): Promise<void> =>
      new Promise((resolve) => {
        const look = (): void => {
          if (pattern.test(seen)) resolve();
          else child.stdout?.once('data', look);
        };
        look();
      });
    child.stdout?.on('data', (chunk: Buffer) => {
      seen += chunk.toString();
    });
    const spec = { nodeName: 'n1', containers: [{ name: 'a', image: 'b' }] };
    await ok('create -f -', JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'w' }, spec }));
    await shows(/default +w +0\/1 +Pending +0 +\S+ +<none> +n1/);
    await ok('delete pod w --wait=false');
    await shows(/w +0\/1 +Terminating/);
    await ok('delete pod w --force');
    child.kill();
  });

  test('a namespace goes with its contents', { timeout: 120_000 }, async () => {
    await ok(
      'create -f -',
      JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'gone' } }),
    );
    await ok(
      'apply -n gone -f -',
      JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' } }),
    );
    assert.match(await ok('delete namespace gone'), /deleted/);
    assert.match((await kubectl('get ns gone')).err, /NotFound/);
    assert.equal(server.store.list('configmaps', 'gone').length, 0);
  });

  test('a CRD makes its resource served', async () => {
    await ok('apply -f -', crd);
    await ok('wait --for=condition=Established crd/wheels.example.com --timeout=5s');
    const wheel = (size: unknown): string =>
      JSON.stringify({
        apiVersion: 'example.com/v1',
        kind: 'Wheel',
        metadata: { name: 'w' },
        spec: { size },
      });
    await ok('apply -f -', wheel(3));
    assert.match(await ok('get wh'), /NAME +SIZE\nw +3/);
    assert.match((await kubectl('apply -f -', wheel(0))).err, /should be greater than or equal to 1/);
    await ok('delete crd wheels.example.com');
    assert.equal((await kubectl('get wheels')).code, 1);
  });

  test('create namespace, configmap, serviceaccount by their own verbs', async () => {
    await ok('create namespace own');
    await ok('create configmap own --from-literal=a=b -n own');
    await ok('create serviceaccount own -n own');
    assert.equal(await ok('get cm own -n own -o jsonpath={.data.a}'), 'b');
  });

  test('events, auth can-i, top-level errors', async () => {
    assert.match(await ok('get events -A'), /^$/);
    assert.match(await ok('auth can-i list pods'), /yes/);
    assert.match((await kubectl('get pod nothing')).err, /pods "nothing" not found/);
  });
});
