import { describe } from '../../model/errors.ts';
import { type Cidr, networkOf, splitPrefix } from '../../model/net/cidr.ts';
import { type Field, shown } from './field.ts';

/**
 * A prefix that somebody wrote, as API servers read it. Host bits mean nothing: custom resources are checked by `isCIDR`, which takes them, and in
 * NetworkPolicies kube-apiserver takes them before 1.36 (KEP-4858, StrictIPCIDRValidation), and afterwards where they stood before. The same with
 * leading zeros in IPv4, which are decimal there. IPv4 in IPv6's clothes is refused: no packet carries it, and as IPv4 it was not written.
 */
export function prefix(field: Field): Cidr | undefined {
  const written = field.string();
  try {
    const { address, length } = splitPrefix(withoutLeadingZeros(written));
    const found = networkOf(address, length);
    if (written.includes(':') === found.includes(':')) return found;
    field.fault(`${shown(written)} is an IPv4-mapped prefix; write it as IPv4`);
  } catch (error) {
    field.fault(describe(error));
  }
  return undefined;
}

const withoutLeadingZeros = (written: string): string =>
  written.includes(':') ? written : written.replace(/(^|[./])0+(?=\d)/g, '$1');
