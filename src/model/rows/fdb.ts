import type { Ip } from '../net/ip.ts';
import type { Mac } from '../net/mac.ts';

/** A permanent forwarding entry of one of our vxlan devices: frames to `mac` go to the VTEP `dst`. One destination a MAC. */
export interface FdbBody {
  readonly dev: string;
  readonly mac: Mac;
  readonly dst: Ip;
}

export const fdbKey = (dev: string, mac: string): string => `${dev} ${mac}`;
