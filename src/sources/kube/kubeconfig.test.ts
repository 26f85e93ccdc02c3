import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inClusterSettings } from './in-cluster.ts';
import { parseKubeconfig } from './kubeconfig.ts';

const base = {
  'current-context': 'a',
  contexts: [
    { name: 'a', context: { cluster: 'c', user: 'u' } },
    { name: 'b', context: { cluster: 'c', user: 'missing' } },
  ],
  clusters: [
    { name: 'c', cluster: { server: 'https://[2001:db8::1]:6443', 'certificate-authority': 'pki/ca.crt' } },
  ],
  users: [{ name: 'u', user: { token: 'inline', tokenFile: '/var/token' } }],
};

test('files are relative to the kubeconfig, a token file wins over a token', () => {
  assert.deepEqual(parseKubeconfig(base, '/etc/fairlead/kubeconfig'), {
    server: 'https://[2001:db8::1]:6443',
    insecureSkipTlsVerify: false,
    ca: { file: '/etc/fairlead/pki/ca.crt' },
    token: { file: '/var/token' },
  });
});

const user = (fields: object) => ({ ...base, users: [{ name: 'u', user: fields }] });
for (const [name, config, context, words] of [
  ['context of that name', base, 'x', 'has no context "x"'],
  ['user of that name', base, 'b', 'has no user "missing"'],
  ['current-context', { ...base, 'current-context': '' }, undefined, 'has no current-context'],
  [
    'server',
    { ...base, clusters: [{ name: 'c', cluster: {} }] },
    undefined,
    'cluster "c" has no usable server',
  ],
  ['key', user({ 'client-certificate': 'x' }), undefined, 'only one of client-certificate and client-key'],
  ['auth-provider', user({ 'auth-provider': {} }), undefined, 'uses auth-provider, which is not supported'],
  ['lists', { 'current-context': 'a', contexts: 7 }, undefined, 'has no context "a"'],
] as const) {
  test(`a kubeconfig in which ${name} is wrong is named with the field`, () => {
    assert.throws(() => parseKubeconfig(config, '/f', context), {
      code: 'kubeconfig',
      message: new RegExp(`^kubeconfig /f .*${words}`),
    });
  });
}

test('in a pod: address from the environment, of either family', () => {
  const env = { KUBERNETES_SERVICE_HOST: 'fd96::1', KUBERNETES_SERVICE_PORT: '443' };
  assert.deepEqual(inClusterSettings(env, '/sa'), {
    server: 'https://[fd96::1]:443',
    ca: { file: '/sa/ca.crt' },
    token: { file: '/sa/token' },
  });
  assert.throws(() => inClusterSettings({}), { code: 'kube-in-cluster' });
});
