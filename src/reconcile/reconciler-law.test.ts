import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Book, OK, parse, rig } from '../../test/support/books.ts';
import { seeded } from '../../test/support/fake-clock.ts';
import { fc, runs } from '../../test/support/property.ts';
import type { TargetName } from '../model/rows/row.ts';

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
    { numRuns: runs(60) },
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
