import type { Ip } from '../net/ip.ts';
import type { Mac } from '../net/mac.ts';

/** A permanent neighbour (ARP or NDP) on one of our links. */
export interface NeighborBody {
  readonly dev: string;
  readonly ip: Ip;
  readonly mac: Mac;
}

export const neighborKey = (dev: string, ip: string): string => `${dev} ${ip}`;
