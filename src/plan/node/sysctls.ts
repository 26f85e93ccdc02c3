import { familyOf } from '../../model/net/ip.ts';
import type { RowOf } from '../../model/rows/row.ts';
import { sysctlKey } from '../../model/rows/sysctl.ts';
import type { Self } from '../transports/underlay.ts';

/** Kernel settings without which this node forwards no packets of its pods. */
export function forwardingRows(self: Self): RowOf<'sysctl'>[] {
  const rows: RowOf<'sysctl'>[] = [];
  const families = new Set(self.podCidrs.map(familyOf));
  if (families.has('ipv4'))
    rows.push(sysctlRow('net/ipv4/ip_forward', '1', 'IPv4 packets of pods are forwarded'));
  if (!families.has('ipv6') || self.missing.ipv6 !== undefined) return rows;
  rows.push(sysctlRow('net/ipv6/conf/all/forwarding', '1', 'IPv6 packets of pods are forwarded'));
  for (const dev of self.listening) {
    // ip-sysctl: accept_ra 1 stops listening once forwarding is on, and with it the node would lose its default route.
    const why = `${dev} goes on learning its default route from routers although we forward`;
    rows.push(sysctlRow(`net/ipv6/conf/${dev}/accept_ra`, '2', why));
  }
  return rows;
}

export function sysctlRow(path: string, value: string, why: string): RowOf<'sysctl'> {
  return { target: 'sysctl', key: sysctlKey(path), body: { path, value }, why };
}
