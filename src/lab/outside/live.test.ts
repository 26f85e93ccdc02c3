import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultTopology } from '../topology/topology.ts';
import { summary } from './live.ts';
import { stateOf } from './state.ts';

const topologyOf = (...names: readonly string[]) => ({
  ...defaultTopology({ nodes: 1 }),
  nodes: names.map((name, i) => ({ name, segment: 'wire0', pods: i })),
});

test('what to type next names what this lab has, with the flags that find it', () => {
  const words = summary(stateOf('two', '/x'), topologyOf('web', 'db'), 1234);
  assert.match(words, /^Lab "two" is up after 1\.2 s/);
  assert.match(words, /^ {2}\.\/fairlead lab exec --name two --state-dir \/x web -- fairlead status$/m);
  assert.match(words, /^ {2}\.\/fairlead lab exec --name two --state-dir \/x default\/db-a -- ip addr$/m);
  assert.doesNotMatch(summary(stateOf('two', '/x'), topologyOf('web'), 1), /default\//);
});
