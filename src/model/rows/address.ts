import type { IpPrefix } from '../net/cidr.ts';

/** An address on one of our links. IPv6 addresses are set with `nodad`. */
export interface AddressBody {
  readonly dev: string;
  readonly address: IpPrefix;
}

export const addressKey = (dev: string, address: string): string => `${dev} ${address}`;
