import { FAMILIES, type Family } from '../../../model/net/ip.ts';
import { LINK_PREFIX } from '../../../model/rows/link.ts';
import type { Carrier } from '../transport.ts';

/** What cannot change on a live vxlan device, and must be equal at both ends. */
export interface VxlanCarrier {
  readonly family: Family;
  readonly vni: number;
  readonly port: number;
}

export function carrierText({ family, vni, port }: VxlanCarrier): Carrier {
  return `vxlan/${family}/${vni}/${port}`;
}

/**
 * Reads a carrier, which may come from another node's annotation: `undefined` unless it is exactly what `carrierText` writes. A cluster
 * has one or two, asked for several times a peer, so what was read is remembered; it is a function of the text alone.
 */
export function parseCarrier(carrier: Carrier): VxlanCarrier | undefined {
  if (READ.has(carrier)) return READ.get(carrier);
  const parsed = parse(carrier);
  if (READ.size >= MOST) READ.clear();
  READ.set(carrier, parsed);
  return parsed;
}

const READ = new Map<Carrier, VxlanCarrier | undefined>();
const MOST = 64;

function parse(carrier: Carrier): VxlanCarrier | undefined {
  const match = /^vxlan\/(ipv4|ipv6)\/(\d{1,8})\/(\d{1,5})$/.exec(carrier);
  const family = FAMILIES.find((name) => name === match?.[1]);
  const vni = Number(match?.[2]);
  const port = Number(match?.[3]);
  if (!family || !(vni >= 1 && vni < 2 ** 24) || !(port >= 1 && port < 65536)) return undefined;
  const parsed = { family, vni, port };
  return carrierText(parsed) === carrier ? parsed : undefined;
}

const DEFAULT_VNI = 1;
const DEFAULT_PORT = 8472;

/**
 * The device's name, at most 15 characters and different for different carriers, so that the device of a new VNI, port or
 * family stands beside the old one until nobody sends by that any more.
 */
export function deviceName({ family, vni, port }: VxlanCarrier): string {
  const version = family === 'ipv4' ? '' : '6';
  if (vni === DEFAULT_VNI && port === DEFAULT_PORT) return `${LINK_PREFIX}vxlan${version}`;
  return `${LINK_PREFIX}v${version || '4'}${vni.toString(36)}-${port.toString(36)}`;
}
