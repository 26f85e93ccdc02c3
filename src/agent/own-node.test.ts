import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Node } from '../model/cluster/node.ts';
import { WorldStore } from '../model/world-store.ts';
import { watchOwnNode } from './own-node.ts';

function begin() {
  const store = new WorldStore({ wall: () => 0, monotonic: () => 0, after: () => ({ cancel() {} }) });
  const heard: (string | undefined)[] = [];
  const sink = watchOwnNode(store, store.world, 'n1', (node) => heard.push(node?.name));
  return { sink, heard, nodes: store.world.nodes };
}

const node = (name: string) => ({ name }) as Node;
const table = (...names: string[]) => new Map(names.map((name) => [name, node(name)]));

test('without our own Node the Nodes are not ready, so nothing is removed, until it is there again', () => {
  const { sink, nodes, heard } = begin();
  sink.replace('nodes', table('n2'));
  sink.ready('nodes');
  assert.deepEqual([nodes.ready, /Node n1 does not exist/.test(nodes.reason ?? '')], [false, true]);
  sink.put('nodes', 'n1', node('n1'));
  assert.equal(nodes.ready, true);
  sink.remove('nodes', 'n1');
  assert.equal(nodes.ready, false);
  sink.replace('nodes', table('n1', 'n2'));
  assert.equal(nodes.ready, true);
  sink.replace('nodes', table());
  assert.equal(nodes.ready, false, 'an API server that was restored empty');
  assert.deepEqual(heard, [undefined, 'n1', undefined, 'n1', undefined]);
});

test('our own Node does not make a source ready that is not', () => {
  const { sink, nodes } = begin();
  sink.put('nodes', 'n1', node('n1'));
  assert.equal(nodes.ready, false);
  sink.ready('nodes');
  sink.notReady('nodes', 'no contact');
  sink.put('nodes', 'n1', { ...node('n1'), uid: 'new' });
  assert.deepEqual([nodes.ready, nodes.reason], [false, 'no contact']);
});

test('other sources and other Nodes pass', () => {
  const { sink, nodes, heard } = begin();
  sink.put('nodes', 'n2', node('n2'));
  sink.ready('pods');
  assert.deepEqual([nodes.objects.size, heard], [1, []]);
});
