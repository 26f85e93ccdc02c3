import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CaseKind, readCases } from '../support/policy/cases.ts';
import { inLab, labLacks, TABLES } from '../support/policy/everywhere.ts';

export interface Round {
  readonly transport: 'layer2' | 'vxlan';
  readonly api: 'lab' | 'real';
  /** Of each folder one case in so many, spread over it; `POLICY_CASES=all` takes all. */
  readonly oneIn: Readonly<Record<string, number>>;
}

/** Truth tables as real packets, a lab a round. */
export function playRounds(kind: CaseKind, rounds: readonly Round[]): void {
  const lacks = labLacks();
  for (const { transport, api, oneIn } of rounds) {
    const name = `${kind}: real packets over ${transport}, ${api === 'lab' ? 'our' : 'the real'} API server`;
    test(name, { skip: lacks !== undefined && `cannot: ${lacks}` }, async (t) => {
      const cases = TABLES.filter((table) => table.kind === kind).flatMap(({ folder }) => {
        const step = process.env.POLICY_CASES === 'all' ? 1 : (oneIn[folder.split('/').at(-1) ?? ''] ?? 1);
        return readCases(kind, folder).filter((_, i) => i % step === 0);
      });
      // A lab for each set of nodes.
      const clusters = Map.groupBy(cases, (one) =>
        JSON.stringify([...new Set(one.cluster.pods.map((pod) => pod.node))].sort()),
      );
      let played = 0;
      const wrong: string[] = [];
      for (const group of clusters.values()) {
        for await (const { name, difference } of inLab(group, transport, api)) {
          played++;
          if (difference !== undefined) wrong.push(`${name}\n${difference}`);
        }
      }
      t.diagnostic(`${played} cases`);
      assert.deepEqual(wrong, []);
      assert.equal(played, cases.length);
    });
  }
}
