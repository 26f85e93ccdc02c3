/** deploy/fairlead.yaml on the real kube-apiserver and controller-manager: taken without a word, and its pods are made. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../../src/lab/client.ts';
import { Kubectl, kubectls } from './kubectl.ts';
import { type RealServer, startRealServer } from './real-server.ts';

const MANIFEST = join(import.meta.dirname, '../../deploy/fairlead.yaml');
const AGENT = '--as=system:serviceaccount:kube-system:fairlead';

/** What `kubectl apply` says of each of its objects. */
const says = (words: string): string =>
  [
    `serviceaccount/fairlead ${words}`,
    `clusterrole.rbac.authorization.k8s.io/fairlead ${words}`,
    `clusterrolebinding.rbac.authorization.k8s.io/fairlead ${words}`,
    `configmap/fairlead ${words}`,
    `daemonset.apps/fairlead ${words}`,
    '',
  ].join('\n');

describe('deploy/fairlead.yaml on kube-apiserver', () => {
  let server: RealServer;
  let kubectl: Kubectl;
  let home: string;

  before(async () => {
    home = mkdtempSync(join(tmpdir(), 'fairlead-manifest-'));
    server = await startRealServer({ controllers: true });
    const [command = []] = kubectls().values();
    kubectl = new Kubectl(command, server.kubeconfig, home);
  });
  after(async () => {
    await server?.close();
    rmSync(home, { recursive: true, force: true });
  });

  test('is taken, strictly, without a warning: dry run, apply, apply again, server-side', async () => {
    for (const [line, words] of [
      ['apply --dry-run=server', 'created (server dry run)'],
      ['apply --validate=strict', 'created'],
      ['apply --validate=strict', 'unchanged'],
      ['apply --server-side', 'serverside-applied'],
    ] as const) {
      const { code, out, err } = await kubectl.ask(`${line} -f ${MANIFEST}`);
      assert.deepEqual({ code, out, err }, { code: 0, out: says(words), err: '' }, line);
    }
  });

  test('every Node gets an agent, a Node that is not ready and that is tainted too', async () => {
    const taints = [{ key: 'node.kubernetes.io/not-ready', effect: 'NoExecute' }];
    const labels = { 'kubernetes.io/os': 'linux' };
    for (const name of ['m1', 'm2'])
      await kubectl.ok('create -f -', {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name, labels },
        spec: { taints },
      });
    await eventually(async () => {
      const numbers = await kubectl.ok(
        'get daemonset fairlead -n kube-system -o jsonpath={.status.desiredNumberScheduled}/{.status.observedGeneration}',
      );
      assert.equal(numbers, '2/1');
      const pods = await kubectl.ok(
        'get pods -n kube-system -l app.kubernetes.io/name=fairlead -o jsonpath={.items[*].spec.serviceAccountName}',
      );
      assert.equal(pods, 'fairlead fairlead', 'admission took the pods');
    }, 20_000);
  });

  test('the agent may do what it does, and nothing beside', async () => {
    const may = async (what: string) => (await kubectl.ask(`auth can-i ${what} ${AGENT}`)).out.trim();
    for (const what of ['list nodes', 'patch nodes', 'patch nodes --subresource=status', 'watch pods -A'])
      assert.equal(await may(what), 'yes', what);
    for (const what of ['delete nodes', 'update nodes', 'list secrets -A', 'get pods -A', 'create pods -A'])
      assert.equal(await may(what), 'no', what);
  });

  test('kubectl delete takes all of it away', async () => {
    await kubectl.ok(`delete -f ${MANIFEST} --cascade=background`);
    for (const kind of ['clusterrole', 'clusterrolebinding', 'daemonset', 'serviceaccount', 'configmap'])
      assert.match(await kubectl.refused(`get ${kind} fairlead -n kube-system`), /NotFound/, kind);
  });
});
