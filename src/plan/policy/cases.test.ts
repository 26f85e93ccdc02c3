/** Truth tables (test/conformance/data) through the planners of all nodes and packets walked through their rows; and the judge itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCases } from '../../../test/support/policy/cases.ts';
import { TABLES } from '../../../test/support/policy/everywhere.ts';
import { NaiveBackend } from '../../../test/support/policy/naive-backend.ts';
import { PlannerBackend } from '../../../test/support/policy/planner-backend.ts';
import { type Backend, differenceOf } from '../../../test/support/policy/run.ts';

const WAYS: Readonly<Record<string, () => Backend>> = {
  'the planner, incrementally and from scratch': () => new PlannerBackend(),
  'the naive evaluator': () => new NaiveBackend(),
};

for (const { kind, folder, count } of TABLES) {
  for (const [way, make] of Object.entries(WAYS)) {
    test(`${folder.split('/').at(-1)}: ${way} gives every verdict, both families`, async () => {
      const cases = readCases(kind, folder);
      assert.equal(cases.length, count);
      const wrong: string[] = [];
      for (const one of cases) {
        const difference = await differenceOf(one, make());
        if (difference !== undefined) wrong.push(`${one.name}\n${difference}`);
      }
      assert.deepEqual(wrong, []);
    });
  }
}

test('a case that says otherwise fails, by every way', async () => {
  const [one] = readCases('policy', TABLES[0]?.folder ?? '').filter(
    ({ name }) => name === 'upstreame2e-001-ingress-closed',
  );
  assert.ok(one);
  const lies = one.steps.map((step) => ({
    ...step,
    cells: (state: Parameters<typeof step.cells>[0]) =>
      step
        .cells(state)
        .map((cell, i) =>
          i === 7
            ? { ...cell, expected: cell.expected === 'allowed' ? ('blocked' as const) : ('allowed' as const) }
            : cell,
        ),
  }));
  for (const make of Object.values(WAYS))
    assert.match(
      (await differenceOf({ ...one, steps: lies }, make())) ?? '',
      /ipv4 .* must be .*\n.*ipv6 .* must be/,
    );
});
