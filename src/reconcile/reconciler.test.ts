import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Book, OK, parse, rig } from '../../test/support/books.ts';
import { FakeClock, seeded } from '../../test/support/fake-clock.ts';
import { PATIENCE_MS } from './keeper.ts';
import { Reconciler } from './reconciler.ts';

test('adds go up the stages, removals down, and what is right is not touched', async () => {
  const { clock, calls, want, reconciler } = rig();
  want('file f', 'route r', 'neighbor n', 'nft c', 'link l');
  await clock.advance(10);
  assert.deepEqual(calls, ['link: +l', 'nft: +c', 'neighbor: +n', 'route: +r', 'file: +f']);
  assert.equal(reconciler.settled, true);
  calls.length = 0;
  want('-link l', '-nft c', '-neighbor n', '-route r', '-file f', 'route r2');
  await clock.advance(10);
  assert.deepEqual(calls, ['nft: -c', 'route: +r2', 'file: -f', 'route: -r', 'neighbor: -n', 'link: -l']);
  calls.length = 0;
  await clock.advance(300_000);
  assert.deepEqual(calls, []);
});

test('a transaction takes adds and removals together, at its stage', async () => {
  const { clock, calls, want } = rig();
  want('nft old', 'link l');
  await clock.advance(10);
  calls.length = 0;
  want('nft new', '-nft old', 'link l=2');
  await clock.advance(10);
  assert.deepEqual(calls, ['link: +l', 'nft: +new -old']);
});

test('what was there before is found, kept when wanted, removed when not, and only when the gate is open', async () => {
  const { clock, calls, route, reconciler, want, status } = rig();
  route.things.set('kept', '1').set('stale', '1');
  reconciler.gate((target) => (target === 'route' ? 'planner p waits for source nodes' : undefined));
  want('route kept', 'route new');
  await clock.advance(10);
  assert.deepEqual(calls, ['route: +new']);
  assert.equal(reconciler.settled, true, 'held removals are no work');
  const { wanted, done, extra, rows } = status('route');
  assert.deepEqual([wanted, done, extra], [2, 2, 1]);
  assert.deepEqual(
    rows.map((r) => [r.key, r.state, r.message]),
    [['stale', 'held', 'planner p waits for source nodes']],
  );
  reconciler.gate(() => undefined);
  reconciler.step();
  await clock.advance(10);
  assert.deepEqual(calls, ['route: +new', 'route: -stale']);
});

test('a row waits for what it needs, says so, and goes the moment that is done', async () => {
  const { clock, calls, neighbor, want, states, reconciler } = rig();
  neighbor.answer = () => ({ ok: false, error: new Error('EINVAL') });
  want('route r needs neighbor n', 'route free', 'neighbor n');
  await clock.advance(1);
  assert.deepEqual(states(), ['neighbor n failed', 'route r waiting', 'route free done']);
  assert.equal(reconciler.row({ target: 'route', key: 'r' })?.message, 'waits for neighbor n');
  neighbor.answer = undefined;
  await clock.advance(200);
  assert.deepEqual(states(), ['neighbor n done', 'route r done', 'route free done']);
  assert.deepEqual(calls.slice(-2), ['neighbor: +n', 'route: +r']);
});

test('needs may point to any stage and to rows that come later', async () => {
  const { clock, want, states } = rig();
  want('link l needs route r');
  await clock.advance(10);
  assert.deepEqual(states(), ['link l waiting']);
  want('route r needs neighbor n');
  want('neighbor n');
  await clock.advance(10);
  assert.deepEqual(states(), ['link l done', 'neighbor n done', 'route r done']);
});

test('one call at a time to a target; a wish that changes under way is done afterwards', async () => {
  const { clock, route, want, calls, reconciler } = rig();
  let finish = () => {};
  route.before = () => new Promise<void>((resolve) => (finish = resolve));
  want('route a', 'route gone');
  await clock.advance(1);
  want('route a=2', '-route gone', 'route b');
  await clock.advance(100);
  assert.deepEqual(calls, ['route: +a +gone']);
  route.before = undefined;
  finish();
  await clock.advance(1);
  assert.deepEqual(calls.slice(1), ['route: +b +a', 'route: -gone']);
  assert.deepEqual([...route.things].sort(), [
    ['a', '2'],
    ['b', '1'],
  ]);
  assert.equal(reconciler.settled, true);
});

test('a slow target holds later stages and removals back, but not for ever, and not earlier stages', async () => {
  const { clock, file, want, calls } = rig();
  want('route old');
  await clock.advance(1);
  calls.length = 0;
  file.before = () => new Promise<void>(() => {});
  want('file f');
  await clock.advance(1);
  want('route new', '-route old');
  await clock.advance(1);
  assert.deepEqual(calls, ['file: +f', 'route: +new']);
  await clock.advance(PATIENCE_MS);
  assert.deepEqual(calls, ['file: +f', 'route: +new', 'route: -old']);
});

test('inside a stage targets run side by side', async () => {
  const clock = new FakeClock();
  const calls: string[] = [];
  const a = new Book('neighbor', 2, calls);
  const b = new Book('fdb', 2, calls);
  const next = new Book('route', 3, calls);
  let finish = () => {};
  a.before = () => new Promise<void>((resolve) => (finish = resolve));
  const reconciler = new Reconciler({ targets: [a, b, next], clock, random: seeded(1) });
  reconciler.want(['neighbor n', 'fdb f', 'route r'].map(parse), 0);
  reconciler.step();
  await clock.advance(10);
  assert.deepEqual(calls, ['neighbor: +n', 'fdb: +f']);
  finish();
  await clock.advance(10);
  assert.deepEqual(calls, ['neighbor: +n', 'fdb: +f', 'route: +r']);
});

test('a jump of the clock on the wall moves no retry and no sweep', async () => {
  const { clock, route, want, reconciler } = rig();
  route.answer = () => ({ ok: false, error: new Error('EBUSY') });
  want('route a');
  await clock.advance(10);
  clock.jump(-86_400_000);
  const { observes } = route;
  await clock.advance(100);
  const row = reconciler.row({ target: 'route', key: 'a' })!;
  assert.equal(row.attempts, 2);
  assert.ok(row.nextTry! > clock.wall() && row.nextTry! < clock.wall() + 1000);
  clock.jump(10 * 86_400_000);
  await clock.advance(50);
  assert.ok(route.observes - observes < 5);
});

test('removals get their turn when adds never end', async () => {
  const { clock, route, want, reconciler } = rig();
  want('route old');
  await clock.advance(10);
  reconciler.gate(() => 'held');
  want('-route old', 'link l');
  assert.equal(reconciler.removalsHeld, 0, 'what may not be removed does not count');
  await clock.advance(10);
  reconciler.gate(() => undefined);
  let finish = () => {};
  route.before = () => new Promise<void>((resolve) => (finish = resolve));
  want('route new');
  await clock.advance(1500);
  assert.equal(reconciler.removalsHeld, 1500);
  route.before = undefined;
  finish();
  await clock.advance(10);
  assert.equal(reconciler.removalsHeld, 0);
  assert.deepEqual([...route.things.keys()], ['new']);
});

test('what our own change of a link took along is put back and is not called drift', async () => {
  const { clock, link, route, want, reconciler } = rig();
  want('link l', 'route r');
  await clock.advance(1000);
  link.answer = () => {
    route.things.clear();
    return OK;
  };
  want('link l=2');
  await clock.advance(10);
  assert.deepEqual([...route.things], [['r', '1']]);
  assert.deepEqual(reconciler.drift(), []);
});

test('cost follows the change: one row among 20,000', async () => {
  const { clock, want, route, reconciler } = rig();
  let compared = 0;
  const same = route.same.bind(route);
  route.same = (wanted, found) => {
    compared++;
    return same(wanted, found);
  };
  want(...Array.from({ length: 20_000 }, (_, i) => `route r${i}`));
  await clock.advance(10);
  assert.equal(reconciler.settled, true);
  compared = 0;
  want('route r77=2');
  await clock.advance(1);
  reconciler.status();
  assert.equal(route.things.get('r77'), '2');
  assert.ok(compared <= 4, `${compared} comparisons`);
});
