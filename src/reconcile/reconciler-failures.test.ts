import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OK, rig } from '../../test/support/books.ts';
import { FakeClock, settle } from '../../test/support/fake-clock.ts';
import { RolledBack } from './target.ts';

test('a refused row backs off alone; its neighbours are done; its error and next try are shown', async () => {
  const { clock, calls, route, want, reconciler, status } = rig();
  route.answer = ({ key }) => (key === 'bad' ? { ok: false, error: new Error('ENETUNREACH') } : OK);
  want('route a', 'route bad', 'route b');
  await clock.advance(1);
  const row = reconciler.row({ target: 'route', key: 'bad' })!;
  assert.deepEqual([row.state, row.message, row.attempts], ['failed', 'ENETUNREACH', 1]);
  assert.ok(row.nextTry! > clock.wall() && row.nextTry! <= clock.wall() + 100);
  assert.deepEqual([status('route').done, status('route').failed], [2, 1]);
  await clock.advance(10_000);
  const tries = calls.filter((call) => call === 'route: +bad').length;
  assert.ok(tries >= 5 && tries <= 9, `${tries} tries in 10 s`);
  want('route bad=2');
  await settle();
  assert.equal(calls.at(-1), 'route: +bad', 'another wish is tried at once');
  assert.equal(reconciler.row({ target: 'route', key: 'bad' })?.attempts, 1);
  route.answer = undefined;
  await clock.advance(200);
  assert.equal(reconciler.row({ target: 'route', key: 'bad' })?.state, 'done');
});

test('a failed row stays failed while it is tried again, so that a status never flaps', async () => {
  const { clock, route, want, status, states } = rig();
  const seen = new Set<string>();
  route.answer = () => ({ ok: false, error: new Error('refused') });
  want('route r');
  await clock.advance(10);
  route.before = () => {
    seen.add(`${status('route').failed} ${states().join()}`);
  };
  await clock.advance(30_000);
  assert.deepEqual([...seen], ['1 route r failed']);
});

test('a call that throws makes the view unknown: it is read before the next try', async () => {
  const { clock, route, want, states } = rig();
  let thrown = 0;
  route.answer = ({ key, wanted }) => {
    if (key !== 'b' || thrown++ > 0) return OK;
    route.things.set('a', wanted);
    throw new Error('cut in the middle');
  };
  want('route a', 'route b');
  await clock.advance(1);
  assert.deepEqual(states(), ['route a done', 'route b done']);
  assert.equal(route.observes, 2);
  assert.deepEqual(
    route.calls,
    ['route: +a +b', 'route: +b'],
    'what was done before the cut is not done again',
  );
});

/** As on a machine: time passes from one look at the clock to the next, and timers fire early by so many milliseconds. */
class HastyClock extends FakeClock {
  readonly #early: number;
  #spent = 0;
  constructor(early: number) {
    super();
    this.#early = early;
  }
  override monotonic(): number {
    this.#spent += 0.05;
    return super.monotonic() + this.#spent;
  }
  override after(ms: number, callback: () => void): { cancel(): void } {
    return super.after(Math.max(0.1, ms - this.#early), callback);
  }
}

test('what becomes due while work is looked for does not wait for the next sweep', async () => {
  for (let early = 0; early < 1; early += 0.01) {
    const { clock, nft, want, states } = rig({}, new HastyClock(early));
    let thrown = 0;
    nft.before = () => {
      if (thrown++ < 4) throw new Error('the answer was lost');
    };
    want('nft a', 'nft b');
    await clock.advance(10_000);
    assert.deepEqual(states(), ['nft a done', 'nft b done'], `${early} ms early, ${thrown} tries`);
  }
});

test('one row that breaks every call is found by halving and does not starve the others', async () => {
  const { clock, route, want, states, status } = rig();
  route.before = () => {
    if (/poison/.test(route.calls.at(-1) ?? '')) throw new Error('socket closed');
  };
  want('route poison', ...Array.from({ length: 20 }, (_, i) => `route r${i}`));
  await clock.advance(20_000);
  assert.deepEqual(
    states().filter((state) => !state.endsWith('done')),
    ['route poison failed'],
  );
  assert.equal(status('route').done, 20);
});

test('a target that cannot be read backs off with its error; rows that need it wait; others go on', async () => {
  const { clock, neighbor, want, states, status, reconciler } = rig();
  neighbor.observeFails = new Error('EPERM');
  want('neighbor n', 'route r needs neighbor n', 'route free');
  await clock.advance(10);
  assert.deepEqual(states(), ['neighbor n pending', 'route r waiting', 'route free done']);
  assert.equal(status('neighbor').error, 'EPERM');
  assert.equal(status('neighbor').observed, undefined);
  assert.equal(reconciler.settled, false);
  neighbor.observeFails = undefined;
  await clock.advance(1000);
  assert.deepEqual(states(), ['neighbor n done', 'route r done', 'route free done']);
  assert.equal(status('neighbor').error, undefined);
  assert.equal(status('neighbor').observed! > 0, true);
});

test('in a transaction the culprit is left out next time, so that the others get through', async () => {
  const { clock, nft, want, states, calls } = rig();
  nft.answer = ({ key }, batch) => {
    const culprit = ['bad', 'dependent'].find((name) => batch.some((change) => change.key === name));
    if (culprit === undefined) return OK;
    return { ok: false, error: key === culprit ? new Error('ENOENT') : new RolledBack() };
  };
  want('nft a', 'nft bad', 'nft b', 'nft dependent needs nft bad', 'nft follower needs nft a');
  await clock.advance(10);
  assert.deepEqual(states(), [
    'nft a done',
    'nft bad failed',
    'nft b done',
    'nft dependent failed',
    'nft follower done',
  ]);
  // Only the target knows whether something stands in the place of what was refused.
  assert.deepEqual(calls, [
    'nft: +a +bad +b +dependent +follower',
    'nft: +a +b +dependent +follower',
    'nft: +a +b +follower',
  ]);
  nft.answer = undefined;
  await clock.advance(200);
  assert.deepEqual(
    states().filter((state) => !state.endsWith('done')),
    [],
  );
});

test('a row in whose place the target put something else is failed, holds nobody, and backs off without drift', async () => {
  const { clock, nft, want, states, calls, reconciler } = rig();
  nft.answer = ({ key }) => {
    if (key !== 'bad') return OK;
    nft.things.set('bad', 'closed');
    return { ok: false, error: new Error('EINVAL'), instead: 'closed' };
  };
  want('nft bad=open', 'nft dependent needs nft bad');
  await clock.advance(10);
  assert.deepEqual(states(), ['nft bad failed', 'nft dependent done']);
  want('nft later needs nft bad');
  await clock.advance(10_000);
  assert.deepEqual(states(), ['nft bad failed', 'nft dependent done', 'nft later done']);
  assert.equal(reconciler.row({ target: 'nft', key: 'bad' })?.message, 'EINVAL');
  const tries = calls.filter((call) => call.includes('bad')).length;
  assert.ok(tries >= 5 && tries <= 10, `${tries} tries in 10 s`);
  assert.deepEqual(reconciler.drift(), []);
  nft.answer = undefined;
  await clock.advance(30_000);
  assert.equal(reconciler.row({ target: 'nft', key: 'bad' })?.state, 'done');
  assert.equal(nft.things.get('bad'), 'open');
});

test('a row that another one spoils by failing is applied again, right as it looks, and is right again after it', async () => {
  const { clock, nft, want, states, calls, reconciler } = rig();
  want('nft chain=open', 'nft other=1');
  await clock.advance(10);
  let refused = true;
  let told = false;
  nft.answer = ({ key }) => {
    if (!refused || key === 'other') return OK;
    if (key === 'chain') {
      nft.things.set('chain', 'closed');
      return { ok: false, error: new Error('without element'), instead: 'closed' };
    }
    const spoils = told ? [] : ['chain', 'nobody'];
    told = true;
    return { ok: false, error: new Error('ENFILE'), spoils };
  };
  want('nft element=1');
  await clock.advance(1);
  assert.deepEqual(states(), ['nft chain failed', 'nft other done', 'nft element failed']);
  assert.deepEqual([nft.things.get('chain'), calls.at(-1)], ['closed', 'nft: +chain']);
  await clock.advance(10_000);
  const tries = calls.filter((call) => call === 'nft: +chain').length;
  assert.ok(tries >= 5 && tries <= 10, `${tries} tries in 10 s`);
  refused = false;
  await clock.advance(30_000);
  assert.deepEqual(states(), ['nft chain done', 'nft other done', 'nft element done']);
  assert.equal(nft.things.get('chain'), 'open');
  assert.deepEqual(reconciler.drift(), []);
});

test('a transaction in which nobody is to blame fails as a whole, with backoff', async () => {
  const { clock, nft, want, status, calls } = rig();
  nft.answer = () => ({ ok: false, error: new RolledBack() });
  want('nft a', 'nft b');
  await clock.advance(10_000);
  assert.equal(status('nft').failed, 2);
  assert.ok(calls.length < 20, `${calls.length} calls`);
});
