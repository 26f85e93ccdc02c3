import { describe } from '../../model/errors.ts';
import { type Cidr, cidr } from '../../model/net/cidr.ts';
import { type Field, shown } from './field.ts';

/** A prefix that somebody wrote. IPv4 addresses in IPv6's clothes are refused: no packet carries them, and as IPv4 they were not written. */
export function prefix(field: Field): Cidr | undefined {
  const written = field.string();
  try {
    const read = cidr(written);
    if (written.includes(':') === read.includes(':')) return read;
    field.fault(`${shown(written)} is an IPv4-mapped prefix; write it as IPv4`);
  } catch (error) {
    field.fault(describe(error));
  }
  return undefined;
}
