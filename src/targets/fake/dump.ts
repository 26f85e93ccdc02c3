import type { AddressBody } from '../../model/rows/address.ts';
import type { FdbBody } from '../../model/rows/fdb.ts';
import type { FileBody } from '../../model/rows/file.ts';
import type { LinkBody } from '../../model/rows/link.ts';
import type { NeighborBody } from '../../model/rows/neighbor.ts';
import type { NexthopBody } from '../../model/rows/nexthop.ts';
import type { NodeStatusBody } from '../../model/rows/node-status.ts';
import { MAIN_TABLE, type RouteBody } from '../../model/rows/route.ts';
import type { RowBodies, TargetName } from '../../model/rows/row.ts';
import type { RuleBody } from '../../model/rows/rule.ts';
import type { SysctlBody } from '../../model/rows/sysctl.ts';
import type { FakeMachine } from './machine.ts';

/** The whole machine as text, one thing a line, sorted; what is not ours ends in `foreign`. */
export function dump(machine: FakeMachine): string {
  const lines = [...machine.hostLinks].map(([name, { up, addresses }]) =>
    `host ${name} ${up ? 'up' : 'down'} ${addresses.join(' ')}`.trimEnd(),
  );
  for (const target of machine.targets()) {
    for (const [key, { body, ours }] of machine.things(target)) {
      lines.push(`${textOf(target, key, body)}${ours ? '' : ' foreign'}`);
    }
  }
  return lines.sort().join('\n');
}

/** One thing much as its tool prints it. */
export function textOf(target: TargetName, key: string, body: unknown): string {
  const text = TEXTS[target] as ((body: unknown) => string) | undefined;
  return `${target} ${text ? text(body) : `${key} ${JSON.stringify(body)}`}`.trimEnd();
}

const TEXTS: { [T in TargetName]?: (body: RowBodies[T]) => string } = {
  link: (b: LinkBody) =>
    `${b.name} vxlan id ${b.type.vni} local ${b.type.local} dev ${b.type.underlay} dstport ${b.type.port} mtu ${b.mtu} ${b.up ? 'up' : 'down'}`,
  address: (b: AddressBody) => `${b.address} dev ${b.dev}`,
  neighbor: (b: NeighborBody) => `${b.ip} dev ${b.dev} lladdr ${b.mac}`,
  fdb: (b: FdbBody) => `${b.mac} dev ${b.dev} dst ${b.dst}`,
  nexthop: (b: NexthopBody) => `id ${b.id} via ${b.via} dev ${b.dev}${b.onlink ? ' onlink' : ''}`,
  route: (b: RouteBody) => routeText(b),
  rule: (b: RuleBody) =>
    `${b.priority}: ${b.family} from ${b.from ?? 'all'} to ${b.to ?? 'all'} lookup ${b.table}`,
  sysctl: (b: SysctlBody) => `${b.path} = ${b.value}`,
  file: (b: FileBody) => `${b.path} ${b.mode.toString(8)} ${JSON.stringify(b.content)}`,
  'node-status': (b: NodeStatusBody) =>
    b.item.kind === 'annotation'
      ? `annotation ${b.item.name}=${b.item.value}`
      : `condition ${b.item.type}=${b.item.status}`,
};

function routeText({ dst, table, type, nextHops, source, mtu }: RouteBody): string {
  const hops = nextHops.map(
    ({ dev, via, onlink, id }) =>
      `${id ? `nhid ${id} ` : ''}${via ? `via ${via} ` : ''}dev ${dev}${onlink ? ' onlink' : ''}`,
  );
  return [
    type === 'unicast' ? dst : `${type} ${dst}`,
    ...hops,
    table === MAIN_TABLE ? '' : `table ${table}`,
    source ? `src ${source}` : '',
    mtu ? `mtu ${mtu}` : '',
  ]
    .filter((part) => part !== '')
    .join(' ');
}
