import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyBatch, type BatchPlan, OK } from './batch.ts';
import type { NetlinkTransport } from './netlink/transport.ts';
import { noLink } from './own-links.ts';

const nl = { transact: async (messages: readonly Uint8Array[]) => messages.map(() => OK) };
const plan: BatchPlan<string> = {
  title: (change) => change.key,
  gone: ['no-link'],
  encode() {
    throw noLink('fl-vxlan');
  },
};

test('a row whose link is gone is gone with it, but cannot be made', async () => {
  const [removed, added, changed] = await applyBatch(
    nl as unknown as NetlinkTransport,
    [
      { key: 'a', wanted: undefined, found: 'old' },
      { key: 'b', wanted: 'new', found: undefined },
      { key: 'c', wanted: 'new', found: 'old' },
    ],
    plan,
  );
  assert.deepEqual(removed, OK);
  for (const refused of [added, changed])
    assert.ok(refused && !refused.ok && /there is no link fl-vxlan/.test(refused.error.message));
});
