import assert from 'node:assert/strict';
import { it } from 'node:test';
import { requireNetAdmin } from './capabilities.ts';

const status = (mask: bigint) =>
  `Name:\tnode\nCapEff:\t${mask.toString(16).padStart(16, '0')}\nSeccomp:\t0\n`;

it('misses CAP_NET_ADMIN in one clear line', () => {
  requireNetAdmin(status(1n << 12n));
  requireNetAdmin(status(0x1ffffffffffn));
  assert.throws(() => requireNetAdmin(status(0x1ffffffffffn & ~(1n << 12n))), {
    code: 'no-net-admin',
    message: /CAP_NET_ADMIN is missing/,
  });
});
