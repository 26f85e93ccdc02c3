import type { Config } from '../../model/cluster/config.ts';
import type { Problem } from '../../model/problem.ts';
import { layer2 } from './layer2/layer2.ts';
import type { Carrier, Transport } from './transport.ts';
import { vxlan } from './vxlan/vxlan.ts';

/** What is built. `auto` tries them in this order: what costs least first. */
export const TRANSPORTS: readonly Transport[] = [layer2, vxlan];

/** Transports that the setting allows, in the order in which they are tried. An unbuilt one counts as `auto`. */
export function enabledTransports(config: Config): readonly Transport[] {
  const named = TRANSPORTS.filter((transport) => transport.name === config.transport);
  return named.length > 0 ? named : TRANSPORTS.filter((transport) => transport.auto);
}

export function unbuilt(config: Config): Problem | undefined {
  if (config.transport === 'auto') return undefined;
  if (TRANSPORTS.some((transport) => transport.name === config.transport)) return undefined;
  return {
    object: 'setting transport',
    message: `"${config.transport}" is not built into this version; "auto" is used instead`,
    hint: `write ${TRANSPORTS.map((transport) => transport.name).join(', ')} or auto`,
  };
}

/** The transport that a carrier belongs to; `undefined` for one that we do not know. */
export function transportOf(carrier: Carrier): Transport | undefined {
  return TRANSPORTS.find(({ name }) => carrier === name || carrier.startsWith(`${name}/`));
}
