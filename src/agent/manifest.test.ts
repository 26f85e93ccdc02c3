/** deploy/fairlead.yaml says what it should, and its configuration is the sample that the settings themselves give. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { COMMANDS } from '../cli/commands.ts';
import { parseFlags } from '../cli/flags.ts';
import { TRANSPORTS } from '../plan/transports/registry.ts';
import { annotatedSample } from '../sources/config/describe.ts';
import { SETTINGS } from '../sources/config/settings.ts';
import { load } from '../sources/config/source.ts';
import { configInput } from './input.ts';

const root = join(import.meta.dirname, '../..');
const text = readFileSync(join(root, 'deploy/fairlead.yaml'), 'utf8');
const documents = parseAllDocuments(text).map((document) => {
  assert.deepEqual([document.errors, document.warnings], [[], []]);
  return document.toJS() as Manifest;
});

interface Manifest {
  kind: string;
  metadata: { name: string; namespace?: string };
  data: Record<string, string>;
  rules: { resources: string[]; verbs: string[] }[];
  spec: { template: { spec: PodSpec } };
}
interface Container {
  name: string;
  image: string;
  args: string[];
  securityContext: {
    capabilities: { drop: string[]; add?: string[] };
    privileged?: boolean;
    readOnlyRootFilesystem: boolean;
  };
  volumeMounts: { name: string; mountPath: string }[];
}
interface PodSpec {
  hostNetwork: boolean;
  priorityClassName: string;
  tolerations: unknown[];
  initContainers: Container[];
  containers: Container[];
  volumes: { name: string }[];
}
const one = (kind: string) => {
  const found = documents.find((document) => document.kind === kind);
  assert.ok(found, `no ${kind}`);
  return found;
};
const pod = one('DaemonSet').spec.template.spec;
const containers = [...pod.initContainers, ...pod.containers];

it('consists of five objects, all named fairlead in kube-system', () => {
  assert.deepEqual(
    documents.map(({ kind }) => kind),
    ['ServiceAccount', 'ClusterRole', 'ClusterRoleBinding', 'ConfigMap', 'DaemonSet'],
  );
  for (const { metadata } of documents) assert.equal(metadata.name, 'fairlead');
});

it('asks for no more than it needs', () => {
  const rules = one('ClusterRole').rules.map(
    ({ resources, verbs }) => `${resources.join()}: ${verbs.join()}`,
  );
  assert.deepEqual(rules, [
    'nodes: get,list,watch,patch',
    'nodes/status: patch',
    'pods,namespaces: list,watch',
    'networkpolicies: list,watch',
    'clusternetworkpolicies: list,watch',
    'events: create,patch',
  ]);
  for (const { securityContext } of containers) {
    assert.deepEqual(securityContext.capabilities.drop, ['ALL']);
    assert.equal(securityContext.privileged, undefined);
    assert.ok(securityContext.readOnlyRootFilesystem);
  }
  assert.deepEqual(pod.containers[0]?.securityContext.capabilities.add, ['NET_ADMIN']);
  assert.equal(pod.initContainers[0]?.securityContext.capabilities.add, undefined);
});

it('starts on a node that is not ready, and mounts what it names', () => {
  assert.deepEqual([pod.hostNetwork, pod.priorityClassName], [true, 'system-node-critical']);
  assert.deepEqual(pod.tolerations, [{ operator: 'Exists' }]);
  const volumes = new Set(pod.volumes.map(({ name }) => name));
  const mounted = new Set(containers.flatMap((c) => c.volumeMounts.map(({ name }) => name)));
  assert.deepEqual(mounted, volumes);
});

it('runs commands that there are, with flags that they take', () => {
  for (const { args } of containers) {
    const command = COMMANDS.find((c) => c.name === args[0]);
    assert.ok(command, `no command ${args[0]}`);
    parseFlags(args.slice(1), command.flags, command.positionals);
  }
});

it('names the image of this version', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  for (const { image } of containers) assert.equal(image, `fairlead:${version}`);
});

it('has the sample that `fairlead agent --print-config` prints, and it is good', async () => {
  const sample = one('ConfigMap').data['config.yaml'] ?? '';
  assert.equal(sample, annotatedSample(), 'put the output of `fairlead agent --print-config` there');
  const input = configInput({ flags: new Map(), env: {} });
  assert.deepEqual((await load(input, { path: 'config.yaml', text: sample })).problems, []);
});

it('allows the transports that are built', () => {
  const names = ['auto', ...TRANSPORTS.map(({ name }) => name)];
  assert.deepEqual(SETTINGS.transport.kind.allowed.split(/, | or /), names);
});
