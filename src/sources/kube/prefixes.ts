import { describe } from '../../model/errors.ts';
import { type Cidr, cidr, networkOf, splitPrefix } from '../../model/net/cidr.ts';
import { type Field, shown } from './field.ts';

/** A prefix that somebody wrote, host bits zero as kube-apiserver demands of NetworkPolicies. */
export function prefix(field: Field): Cidr | undefined {
  return read(field, cidr);
}

/** A prefix whose host bits mean nothing: custom resources are checked by `isCIDR`, which takes them. */
export function loosePrefix(field: Field): Cidr | undefined {
  return read(field, (written) => {
    const { address, length } = splitPrefix(written);
    return networkOf(address, length);
  });
}

/** IPv4 addresses in IPv6's clothes are refused, as by both of them: no packet carries them, and as IPv4 they were not written. */
function read(field: Field, parse: (written: string) => Cidr): Cidr | undefined {
  const written = field.string();
  try {
    const found = parse(written);
    if (written.includes(':') === found.includes(':')) return found;
    field.fault(`${shown(written)} is an IPv4-mapped prefix; write it as IPv4`);
  } catch (error) {
    field.fault(describe(error));
  }
  return undefined;
}
