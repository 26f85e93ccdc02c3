import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseCni, readCniFolder } from './cni.ts';

const parse = (path: string, config: unknown) => parseCni(path, JSON.stringify(config));

test('who wrote a CNI configuration', () => {
  const bridge = (name: string) => ({ type: 'bridge', bridge: name });
  assert.deepEqual(
    parse('/d/10-kuberouter.conflist', {
      name: 'mynet',
      plugins: [bridge('kube-bridge'), { type: 'portmap' }],
    }),
    {
      path: '/d/10-kuberouter.conflist',
      name: 'mynet',
      bridge: 'kube-bridge',
      software: 'kube-router',
    },
  );
  assert.deepEqual(
    parse('/d/10-kopeio.conf', { cniVersion: '0.3.1', name: 'k8s-pod-network', ...bridge('kopeio') }),
    {
      path: '/d/10-kopeio.conf',
      name: 'k8s-pod-network',
      bridge: 'kopeio',
      software: 'kopeio',
    },
  );
  const calico = parse('/d/10-calico.conflist', { name: 'k8s-pod-network', plugins: [{ type: 'calico' }] });
  assert.deepEqual([calico?.software, calico?.bridge], ['calico', undefined]);
  const plain = parse('/d/99.conf', { name: 'mine', type: 'bridge' });
  assert.deepEqual([plain?.software, plain?.bridge], [undefined, 'cni0'], "the bridge plugin's own default");
});

test('what is no CNI configuration is left out', () => {
  for (const text of [
    '',
    '{',
    '[]',
    'null',
    '7',
    '{"name":"x"}',
    '{"plugins":[{"type":"ptp"}]}',
    '{"name":"x","plugins":[7]}',
  ])
    assert.equal(parseCni('/d/x.conf', text), undefined, text);
});

test('our own file does not count, by the name that the setting gives it', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'fairlead-cni-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const names = ['05-fairlead.conflist', '10-pods.conflist', '.hidden.conf', 'notes.txt'];
  for (const name of names) writeFileSync(join(dir, name), '{"name":"x","type":"bridge"}');
  const foreign = (own: string) =>
    [...readCniFolder(dir, own).keys()].map((path) => path.slice(dir.length + 1));
  assert.deepEqual(foreign('05-fairlead.conflist'), ['10-pods.conflist']);
  assert.deepEqual(foreign('10-pods.conflist'), ['05-fairlead.conflist']);
});

test('a file that is being written keeps what it said; one that is gone does not', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'fairlead-cni-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const path = join(dir, '10-kuberouter.conflist');
  writeFileSync(path, '{"name":"mynet","type":"bridge","bridge":"kube-bridge"}');
  const before = readCniFolder(dir, 'own');
  writeFileSync(path, '{"name":"my');
  assert.deepEqual(readCniFolder(dir, 'own', before), before);
  assert.equal(readCniFolder(dir, 'own').size, 0, 'nothing is known of it at the first look');
  writeFileSync(path, '{"name":"mynet","type":"bridge","bridge":"other"}');
  assert.equal(readCniFolder(dir, 'own', before).get(path)?.bridge, 'other');
  rmSync(path);
  assert.equal(readCniFolder(dir, 'own', before).size, 0);
});
