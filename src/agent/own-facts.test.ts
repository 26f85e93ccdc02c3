import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../test/support/fake-clock.ts';
import { node } from '../../test/support/plan-worlds.ts';
import type { Node, NodeFacts } from '../model/cluster/node.ts';
import { factsText } from '../plan/transports/facts.ts';
import { parseFacts } from '../sources/kube/facts.ts';
import { OwnFacts } from './own-facts.ts';

const facts = (...accepts: string[]): NodeFacts => ({
  version: 1,
  accepts,
  uses: [],
  underlay: [],
  mtu: 1500,
});
const shown = (value: NodeFacts): Node => ({ ...node(1), facts: value });

test('what was written is marked until the watch shows it, and the call ends then', async () => {
  let marked = 0;
  const own = new OwnFacts(new FakeClock(), () => marked++);
  const [first, second] = [facts('layer2'), facts('layer2', 'vxlan/ipv4/1/8472')];
  own.telling(factsText(first));
  own.telling(factsText(second));
  assert.equal(marked, 2);
  assert.deepEqual(own.mark(node(1)).unseen, ['layer2', 'vxlan/ipv4/1/8472']);
  let heard = false;
  const waiting = own.heard().then(() => {
    heard = true;
  });
  own.shown(shown(first));
  await undefined;
  assert.equal(heard, false);
  own.shown(shown(second));
  await waiting;
  assert.equal('unseen' in own.mark(shown(second)), false);
});

test('a refused word is forgotten; an echo that never comes holds nobody for ever, and the mark stays', async () => {
  const clock = new FakeClock();
  const own = new OwnFacts(clock, () => {});
  own.telling(factsText(facts('a')));
  own.refused(factsText(facts('a')));
  await own.heard();
  own.telling(factsText(facts('b')));
  const waiting = own.heard();
  await clock.advance(4_000);
  await waiting;
  assert.deepEqual(own.mark(node(1)).unseen, ['b']);
});

test('facts come back from the API as the text that was written', () => {
  const vxlan = { mac: '02:00:00:00:00:01' as never, vni: 1, port: 8472 };
  const text = factsText({ ...facts('layer2'), leaves: ['x'], vxlan });
  const parsed = parseFacts(text);
  assert.ok('facts' in parsed);
  assert.equal(factsText(parsed.facts), text);
});
