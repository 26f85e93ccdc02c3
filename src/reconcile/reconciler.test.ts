import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FakeClock, seeded, settle } from '../../test/support/fake-clock.ts';
import type { RowRef, TargetName } from '../model/rows/row.ts';
import type { WantedRow } from './delta.ts';
import { PATIENCE_MS } from './keeper.ts';
import { type ReconcileHooks, Reconciler } from './reconciler.ts';
import type { Change, Outcome, Target } from './target.ts';

const OK: Outcome = { ok: true };

/** A target whose every call is written down, over a plain map. `answer` may refuse, throw or hang. */
class Book implements Target<unknown> {
  readonly name: TargetName;
  readonly stage: number;
  readonly atomic: boolean;
  readonly things = new Map<string, unknown>();
  readonly calls: string[];
  observes = 0;
  answer: ((change: Change<unknown>, batch: readonly Change<unknown>[]) => Outcome) | undefined;
  before: (() => Promise<void> | void) | undefined;
  observeFails: Error | undefined;
  notify: (keys: Iterable<string> | 'unknown') => void = () => {};

  constructor(name: TargetName, stage: number, calls: string[], atomic = false) {
    this.name = name;
    this.stage = stage;
    this.calls = calls;
    this.atomic = atomic;
  }

  same(wanted: unknown, found: unknown): boolean {
    return wanted === found;
  }

  async observe(): Promise<ReadonlyMap<string, unknown>> {
    this.observes++;
    await undefined;
    if (this.observeFails) throw this.observeFails;
    return new Map(this.things);
  }

  async apply(batch: readonly Change<unknown>[]): Promise<Outcome[]> {
    const text = batch.map(({ key, wanted }) => (wanted === undefined ? `-${key}` : `+${key}`)).join(' ');
    this.calls.push(`${this.name}: ${text}`);
    await this.before?.();
    return batch.map((change) => {
      const outcome = this.answer?.(change, batch) ?? OK;
      if (!outcome.ok) return outcome;
      if (change.wanted === undefined) this.things.delete(change.key);
      else this.things.set(change.key, change.wanted);
      return OK;
    });
  }

  watch(onDrift: (keys: Iterable<string> | 'unknown') => void) {
    this.notify = onDrift;
    return { close: () => {} };
  }
}

function rig(hooks: ReconcileHooks = {}) {
  const clock = new FakeClock();
  const calls: string[] = [];
  const link = new Book('link', 0, calls);
  const nft = new Book('nft', 1, calls, true);
  const neighbor = new Book('neighbor', 2, calls);
  const route = new Book('route', 3, calls);
  const file = new Book('file', 6, calls);
  const targets = [link, nft, neighbor, route, file];
  const reconciler = new Reconciler({ targets, clock, random: seeded(1), hooks });
  reconciler.gate(() => undefined);
  reconciler.step();
  const want = (...texts: string[]) => {
    reconciler.want(texts.map(parse), clock.monotonic());
    reconciler.step();
  };
  const states = () => reconciler.rows().map((r) => `${r.target} ${r.key} ${r.state}`);
  const status = (name: string) => reconciler.status().find((s) => s.name === name)!;
  return { clock, calls, link, nft, neighbor, route, file, reconciler, want, states, status };
}

/** `route a=1 needs link x`, or `-route a`. */
function parse(text: string): { target: TargetName; key: string; row: WantedRow | undefined } {
  const [head = '', ...needTexts] = text.split(' needs ');
  const [, minus, target = '', key = '', body] = /^(-?)(\S+) ([^=]+)(?:=(.*))?$/.exec(head) ?? [];
  const needs = needTexts.map((need): RowRef => {
    const [t = '', k = ''] = need.split(' ');
    return { target: t as TargetName, key: k };
  });
  const name = target as TargetName;
  const row = minus ? undefined : { target: name, key, body: body ?? '1', why: `why ${key}`, needs };
  return { target: name, key, row };
}

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
    if (!batch.some((change) => change.key === 'bad')) return OK;
    return { ok: false, error: new Error(key === 'bad' ? 'ENOENT' : 'rolled back') };
  };
  want('nft a', 'nft bad', 'nft b', 'nft dependent needs nft bad', 'nft follower needs nft a');
  await clock.advance(10);
  assert.deepEqual(states(), [
    'nft a done',
    'nft bad failed',
    'nft b done',
    'nft dependent waiting',
    'nft follower done',
  ]);
  assert.deepEqual(calls, ['nft: +a +bad +b +dependent +follower', 'nft: +a +b +follower']);
  nft.answer = undefined;
  await clock.advance(200);
  assert.equal(calls.at(-1), 'nft: +bad +dependent', 'and with it goes what needs it, in one transaction');
});

test('a transaction in which nobody is to blame fails as a whole, with backoff', async () => {
  const { clock, nft, want, status, calls } = rig();
  nft.answer = () => ({ ok: false, error: new Error('rolled back') });
  want('nft a', 'nft b');
  await clock.advance(10_000);
  assert.equal(status('nft').failed, 2);
  assert.ok(calls.length < 20, `${calls.length} calls`);
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

test('drift is seen by notification within 250 ms, told by kind, repaired, and recorded', async () => {
  const { clock, route, want, reconciler, calls } = rig();
  want('route a', 'route b', 'route c');
  await clock.advance(1000);
  calls.length = 0;
  route.things.delete('a');
  route.things.set('b', 'altered').set('x', 'stranger');
  const at = clock.wall();
  route.notify(['a', 'b', 'x']);
  await clock.advance(250);
  assert.deepEqual([...route.things].sort(), [
    ['a', '1'],
    ['b', '1'],
    ['c', '1'],
  ]);
  assert.deepEqual(calls, ['route: +a +b', 'route: -x']);
  assert.deepEqual(reconciler.drift(), [
    { at, target: 'route', key: 'a', kind: 'missing', repaired: at },
    { at, target: 'route', key: 'b', kind: 'altered', repaired: at },
    { at, target: 'route', key: 'x', kind: 'foreign', repaired: at },
  ]);
  assert.deepEqual(reconciler.driftCounts(), { missing: 1, altered: 1, foreign: 1 });
});

test('drift without a notification is found by the slow sweep', async () => {
  const { clock, route, want, reconciler } = rig();
  want('route a');
  await clock.advance(1000);
  route.things.delete('a');
  await clock.advance(80_000);
  assert.equal(route.things.get('a'), '1');
  assert.deepEqual(reconciler.driftCounts(), { missing: 1, altered: 0, foreign: 0 });
});

test('a storm of notifications costs four reads a second, and the last one is never lost', async () => {
  const { clock, route, want } = rig();
  want('route a');
  await clock.advance(1000);
  const before = route.observes;
  for (let i = 0; i < 200; i++) {
    route.notify('unknown');
    await clock.advance(5);
  }
  assert.ok(route.observes - before <= 6, `${route.observes - before} reads`);
  route.things.delete('a');
  route.notify(['a']);
  await clock.advance(250);
  assert.equal(route.things.get('a'), '1');
});

test('what moves while we read is read again', async () => {
  const { clock, route, want } = rig();
  want('route a');
  await clock.advance(1000);
  const observe = route.observe.bind(route);
  route.observe = async () => {
    const seen = await observe();
    route.observe = observe;
    route.things.delete('a');
    route.notify(['a']);
    return seen;
  };
  route.notify('unknown');
  await clock.advance(300);
  assert.equal(route.things.get('a'), '1');
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

test('law: whatever is wanted, whatever was there, whatever fails, in the end it is as wanted and no more is written', async () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd');
  const targetName = fc.constantFrom('link', 'nft', 'neighbor', 'route', 'file');
  const wish = fc
    .tuple(
      targetName,
      key,
      fc.constantFrom('', '1', '2'),
      fc.option(fc.tuple(targetName, key), { nil: undefined }),
    )
    .map(([t, k, v, need]) =>
      v === '' ? `-${t} ${k}` : `${t} ${k}=${v}${need && need[0] < t ? ` needs ${need[0]} ${need[1]}` : ''}`,
    );
  const foreign = fc.array(fc.tuple(targetName, key, fc.constantFrom('1', '3')), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(wish, { maxLength: 8 }), { maxLength: 5 }),
      foreign,
      fc.nat(),
      async (rounds, before, seed) => {
        const bench = rig();
        const books = {
          link: bench.link,
          nft: bench.nft,
          neighbor: bench.neighbor,
          route: bench.route,
          file: bench.file,
        };
        const random = seeded(seed);
        for (const [t, k, v] of before) books[t].things.set(k, v);
        for (const book of Object.values(books)) weather(book, random);
        const wanted = new Map<string, string>();
        for (const round of rounds) {
          bench.want(...round);
          for (const text of round) note(wanted, text);
          await bench.clock.advance(random() * 300);
        }
        for (const book of Object.values(books)) calm(book);
        await bench.clock.advance(120_000);
        for (const [t, book] of Object.entries(books)) {
          const expected = [...wanted]
            .filter(([id]) => id.startsWith(`${t} `))
            .map(([id, v]) => [id.slice(t.length + 1), v]);
          const unmet = new Set(
            bench.reconciler
              .rows(t as TargetName)
              .filter((r) => r.state === 'waiting')
              .map((r) => r.key),
          );
          const got = [...book.things].filter(([k]) => !unmet.has(k)).sort();
          assert.deepEqual(got, expected.filter(([k]) => !unmet.has(k ?? '')).sort(), t);
        }
        bench.calls.length = 0;
        await bench.clock.advance(200_000);
        assert.deepEqual(bench.calls, []);
      },
    ),
    { numRuns: 60 },
  );
});

function note(wanted: Map<string, string>, text: string): void {
  const { target, key, row } = parse(text);
  if (row) wanted.set(`${target} ${key}`, row.body as string);
  else wanted.delete(`${target} ${key}`);
}

/** One call in five refuses a row, is torn, or cannot read; what is there changes under our feet, with and without notice. */
function weather(book: Book, random: () => number): void {
  book.answer = (_change, batch) => {
    const chance = random();
    if (chance < 0.1 && !book.atomic) return { ok: false, error: new Error('refused') };
    if (chance < 0.2 / batch.length) throw new Error('torn');
    return OK;
  };
  book.before = async () => {
    if (random() < 0.2) book.things.delete([...book.things.keys()][0] ?? '');
    if (random() < 0.5) book.notify('unknown');
    if (random() < 0.1) throw new Error('torn before');
    await undefined;
  };
  const observe = book.observe.bind(book);
  book.observe = async () => {
    if (random() < 0.1) throw new Error('interrupted');
    return observe();
  };
}

function calm(book: Book): void {
  book.answer = undefined;
  book.before = undefined;
  book.observe = Book.prototype.observe.bind(book);
}
