/** What CNI plugins say of the network that they made (CNI specification 1.0, "ADD Success"). */
import type { Attachment } from '../model/cluster/birth.ts';
import { tryMac } from '../model/net/mac.ts';

export function fields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

/** The addresses as they are written, without their lengths; `undefined` where none are said. */
export function addressesIn(result: unknown): readonly string[] | undefined {
  const { ips } = fields(result);
  return Array.isArray(ips) ? ips.map((one) => String(fields(one).address).split('/')[0] ?? '') : undefined;
}

/** What the plugin `bridge` says that it made: the bridge, the pair's end on it, the end in the pod. `ptp` has no first of these. */
export function attachedTo(result: unknown, ifname: string): { attached?: Attachment } {
  const { interfaces } = fields(result);
  const all = Array.isArray(interfaces) ? interfaces.map(fields) : [];
  const inPod = (one: (typeof all)[number]) => typeof one.sandbox === 'string' && one.sandbox !== '';
  const [bridge, port, ...others] = all.filter((one) => !inPod(one)).map(({ name }) => name);
  const mac = tryMac(String(all.find((one) => inPod(one) && one.name === ifname)?.mac));
  if (typeof bridge !== 'string' || typeof port !== 'string' || mac === undefined || others.length > 0)
    return {};
  return { attached: { bridge, port, mac } };
}
