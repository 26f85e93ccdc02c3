import { describe } from '../../model/errors.ts';
import { type Cidr, networkOf, splitPrefix } from '../../model/net/cidr.ts';
import { tryIp } from '../../model/net/ip.ts';
import { type Field, shown } from './field.ts';

/**
 * A prefix that somebody wrote, as API servers read it. Host bits mean nothing: custom resources are checked by `isCIDR`, which takes them, and in
 * NetworkPolicies kube-apiserver takes them before 1.36 (KEP-4858, StrictIPCIDRValidation), and afterwards where they stood before. The same with
 * leading zeros in IPv4, which are decimal there. IPv4 in IPv6's clothes is refused: no packet carries it, and as IPv4 it was not written.
 */
export function prefix(field: Field): Cidr | undefined {
  const written = field.string();
  if (isMapped(written)) {
    field.fault(`${shown(written)} is an IPv4-mapped prefix; write it as IPv4`);
    return undefined;
  }
  try {
    const { address, length } = splitPrefix(withoutLeadingZeros(written));
    return networkOf(address, length);
  } catch (error) {
    field.fault(describe(error));
    return undefined;
  }
}

/** `::ffff:10.0.0.0/104`: what is read is IPv4. */
function isMapped(written: string): boolean {
  const address = tryIp(written.split('/', 1)[0] ?? '');
  return address !== undefined && written.includes(':') && !address.includes(':');
}

const withoutLeadingZeros = (written: string): string =>
  written.includes(':') ? written : written.replace(/(^|[./])0+(?=\d)/g, '$1');
