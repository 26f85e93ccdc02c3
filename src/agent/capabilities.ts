import { readFileSync } from 'node:fs';
import { FairleadError } from '../model/errors.ts';

/** linux/capability.h */
const CAP_NET_ADMIN = 12n;

/** Throws `no-net-admin` when this process may not change the network of its namespace. */
export function requireNetAdmin(status: string = readFileSync('/proc/self/status', 'utf8')): void {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  if (effective === undefined || (BigInt(`0x${effective}`) >> CAP_NET_ADMIN) & 1n) return;
  throw new FairleadError(
    'no-net-admin',
    'the capability CAP_NET_ADMIN is missing, so the kernel would refuse every change',
    {
      hint: 'run as root, or give the container the capability NET_ADMIN',
    },
  );
}
