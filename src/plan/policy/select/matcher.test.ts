/** The index of selectors says what trying all of them says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc, runs } from '../../../../test/support/property.ts';
import { type Labels, matches, type Selector, selector } from '../../../model/cluster/selector.ts';
import { Matcher, type Selecting } from './matcher.ts';
import { Namespaces } from './namespaces.ts';
import { SelectorFile } from './selector-file.ts';

const KEYS = ['app', 'tier', 'constructor'];
const VALUES = ['a', 'b', ''];
const NAMESPACES = ['x', 'y', 'z'];

const labels: fc.Arbitrary<Labels> = fc.dictionary(fc.constantFrom(...KEYS), fc.constantFrom(...VALUES), {
  noNullPrototype: true,
});
const anySelector: fc.Arbitrary<Selector> = fc
  .array(
    fc.record({
      key: fc.constantFrom(...KEYS),
      operator: fc.constantFrom(
        'In' as const,
        'In' as const,
        'NotIn' as const,
        'Exists' as const,
        'DoesNotExist' as const,
      ),
      values: fc.array(fc.constantFrom(...VALUES), { maxLength: 3 }),
    }),
    { maxLength: 3 },
  )
  .map(selector);

test('a file finds exactly the items whose selector matches, also after some were taken out', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(anySelector, fc.boolean()), { maxLength: 12 }), labels, (list, asked) => {
      const items = list.map(([pods, stays], id) => ({ pods, stays, id }));
      const file = new SelectorFile<(typeof items)[number]>(({ pods }) => pods);
      for (const item of items) file.add(item);
      for (const item of items) if (!item.stays) file.remove(item);
      const found: typeof items = [];
      file.find(asked, found);
      const wanted = items.filter(({ pods, stays }) => stays && matches(pods, asked));
      assert.deepEqual(found.map(({ id }) => id).sort(), wanted.map(({ id }) => id).sort());
      for (const item of items) file.remove(item);
      assert.ok(file.empty);
    }),
    { numRuns: runs(500) },
  );
});

test('labels ask only for selectors that demand what they say', () => {
  let tried = 0;
  const counted = (pods: Selector) => ({
    get terms() {
      tried++;
      return pods.terms;
    },
    text: pods.text,
  });
  const file = new SelectorFile<{ pods: Selector }>(({ pods }) => pods);
  for (let i = 0; i < 1000; i++)
    file.add({ pods: counted(selector([{ key: 'app', operator: 'In', values: [`v${i}`] }])) });
  tried = 0;
  file.find({ app: 'v7', other: 'v8' }, []);
  assert.equal(tried, 1);
});

type Edit =
  | { readonly kind: 'add'; readonly scope: string | Selector; readonly pods: Selector }
  | { readonly kind: 'remove'; readonly at: number }
  | { readonly kind: 'relabel'; readonly namespace: string; readonly labels: Labels; readonly pod: Labels }
  | { readonly kind: 'ask'; readonly namespace: string; readonly labels: Labels };

const namespace = fc.constantFrom(...NAMESPACES);
const edit: fc.Arbitrary<Edit> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('add' as const),
      scope: fc.oneof(namespace, anySelector),
      pods: anySelector,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), at: fc.nat() }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('relabel' as const), namespace, labels, pod: labels }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('ask' as const), namespace, labels }) },
);

test('a matcher follows items and namespaces that come, go and change', () => {
  fc.assert(
    fc.property(fc.array(edit, { minLength: 5, maxLength: 40, size: 'max' }), (edits) => {
      const world = new Namespaces();
      const labelsOf = (name: string): Labels => world.labels(name);
      const matcher = new Matcher<Selecting>(world);
      const items: Selecting[] = [];
      const naive = (name: string, of: Labels): Selecting[] =>
        items.filter(({ scope, pods }) => {
          const here = typeof scope === 'string' ? scope === name : matches(scope, labelsOf(name));
          return here && matches(pods, of);
        });
      for (const one of edits) {
        if (one.kind === 'add') {
          items.push(one);
          matcher.add(one);
        } else if (one.kind === 'remove') {
          const [gone] = items.splice(one.at % (items.length || 1), 1);
          if (gone) matcher.remove(gone);
        } else if (one.kind === 'relabel') {
          const old = new Set(naive(one.namespace, one.pod));
          const before = labelsOf(one.namespace);
          world.set(one.namespace, one.labels);
          const concerned = matcher.relabel(one.namespace, before, one.labels)(one.pod);
          const now = new Set(naive(one.namespace, one.pod));
          assert.equal(
            concerned,
            [...old].some((item) => !now.has(item)) || [...now].some((item) => !old.has(item)),
          );
        } else
          assert.deepEqual(
            new Set(matcher.find(one.namespace, one.labels)),
            new Set(naive(one.namespace, one.labels)),
          );
      }
    }),
    { numRuns: runs(500) },
  );
});

test('namespaces that match are found by what they say, also those that nobody has labelled', () => {
  const known = fc.array(fc.tuple(namespace, fc.option(labels, { nil: undefined })), { maxLength: 12 });
  fc.assert(
    fc.property(known, anySelector, (edits, asked) => {
      const namespaces = new Namespaces();
      const now = new Map<string, Labels>();
      for (const [name, of] of edits) {
        namespaces.set(name, of);
        if (of) now.set(name, of);
        else now.delete(name);
      }
      const found = [...namespaces.matching(asked, NAMESPACES)].sort();
      assert.deepEqual(
        found,
        NAMESPACES.filter((name) => matches(asked, now.get(name) ?? {})),
      );
    }),
    { numRuns: runs(500) },
  );
});
