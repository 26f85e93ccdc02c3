/**
 * Our rtnetlink targets against `ip -batch` and `bridge -batch`. Needs a network namespace of its own:
 *
 *     unshare -Urn sh scripts/node.sh bench/rt.ts
 */
import { execFileSync } from 'node:child_process';
import type { Cidr } from '../src/model/net/cidr.ts';
import type { Ip } from '../src/model/net/ip.ts';
import type { Mac } from '../src/model/net/mac.ts';
import { type FdbBody, fdbKey } from '../src/model/rows/fdb.ts';
import type { LinkBody } from '../src/model/rows/link.ts';
import { type NeighborBody, neighborKey } from '../src/model/rows/neighbor.ts';
import { MAIN_TABLE, type RouteBody, routeKey } from '../src/model/rows/route.ts';
import type { Change, Outcome, Target } from '../src/reconcile/target.ts';
import { fdbTarget } from '../src/targets/linux/fdb.ts';
import { linkTarget } from '../src/targets/linux/link.ts';
import { neighborTarget } from '../src/targets/linux/neighbor.ts';
import { NETLINK_ROUTE } from '../src/targets/linux/netlink/constants.ts';
import { openNetlink } from '../src/targets/linux/netlink/socket.ts';
import type { NetlinkTransport } from '../src/targets/linux/netlink/transport.ts';
import { routeTarget } from '../src/targets/linux/route.ts';
import { type BenchRow, contest, table } from './table.ts';

const COUNT = 10_000;
const DEV = 'fl-vxlan';

const batch = (tool: string, lines: readonly string[]) =>
  execFileSync(tool, ['-batch', '-'], { input: `${lines.join('\n')}\n`, maxBuffer: 1 << 28 });
const ip = (...args: string[]) => execFileSync('ip', args, { maxBuffer: 1 << 28 });
const add = <B>(key: string, wanted: B): Change<B> => ({ key, wanted, found: undefined });

const bytes = (i: number) => [i >> 8, i & 255] as const;
const mac = (i: number) =>
  `02:00:00:00:${bytes(i)
    .map((b) => b.toString(16).padStart(2, '0'))
    .join(':')}` as Mac;
const vtep = (i: number) => `198.18.${bytes(i).join('.')}` as Ip;
const gateway = (i: number) => `fe80::${(i + 1).toString(16)}` as Ip;

const LINK: LinkBody = {
  name: DEV,
  mtu: 1400,
  mac: mac(0),
  up: true,
  alias: 'fairlead bench',
  type: { kind: 'vxlan', vni: 1, port: 8472, local: '192.0.2.1' as Ip, underlay: 'eth0' },
};

function route(dst: string, via: Ip): RouteBody {
  const nextHops = [{ dev: DEV, via, onlink: true, weight: 1 }];
  return {
    dst: dst as Cidr,
    table: MAIN_TABLE,
    type: 'unicast',
    nextHops,
    source: undefined,
    mtu: undefined,
  };
}

const prefixes = Array.from({ length: COUNT }, (_, i) =>
  i % 2 === 0 ? `10.${bytes(i >> 1).join('.')}.0/24` : `fd00:0:0:${((i >> 1) + 1).toString(16)}::/64`,
);
/** One next hop for all, and one for each two: with many of a device the kernel's search through them is most of the time. */
const SHARED = (): Ip => gateway(0);
const routesBy = (via: (i: number) => Ip) =>
  prefixes.map((dst, i) => add(routeKey(dst), route(dst, via(i >> 1))));
const linesBy = (viaOf: (i: number) => Ip) =>
  prefixes.map((dst, i) => {
    const via = `${i % 2 === 0 ? 'inet6 ' : ''}${viaOf(i >> 1)}`;
    return `route add ${dst} via ${via} dev ${DEV} onlink proto 201`;
  });
const routes = routesBy(SHARED);
const routeLines = linesBy(SHARED);
const peerRoutes = routesBy(gateway);
const peerLines = linesBy(gateway);
const fdb = Array.from({ length: COUNT }, (_, i) =>
  add<FdbBody>(fdbKey(DEV, mac(i)), { dev: DEV, mac: mac(i), dst: vtep(i) }),
);
const neighbors = Array.from({ length: COUNT }, (_, i) =>
  add<NeighborBody>(neighborKey(DEV, gateway(i)), { dev: DEV, ip: gateway(i), mac: mac(i) }),
);
const fdbLines = Array.from(
  { length: COUNT },
  (_, i) => `fdb replace ${mac(i)} dev ${DEV} dst ${vtep(i)} self permanent`,
);
const neighborLines = Array.from(
  { length: COUNT },
  (_, i) => `neigh replace ${gateway(i)} lladdr ${mac(i)} dev ${DEV} nud permanent`,
);

async function must<B>(target: Target<B>, changes: readonly Change<B>[]): Promise<void> {
  for (const outcome of (await target.apply(changes)) as readonly Outcome[])
    if (!outcome.ok) throw outcome.error;
}

type Targets = ReturnType<typeof targetsOf>;

function targetsOf(nl: NetlinkTransport) {
  return {
    link: linkTarget(nl),
    route: routeTarget(nl),
    fdb: fdbTarget(nl),
    neighbor: neighborTarget(nl),
  };
}

/** A device that goes takes its routes, neighbours and entries with it. */
async function freshDevice({ link }: Targets): Promise<void> {
  await must(link, [{ key: DEV, wanted: undefined, found: LINK }]);
  await must(link, [add(DEV, LINK)]);
}

export async function run(runs = 7): Promise<BenchRow[]> {
  const nl = openNetlink(NETLINK_ROUTE);
  try {
    const targets = targetsOf(nl);
    batch('ip', [
      'link set lo up',
      'link add eth0 type veth peer name peer0',
      'link set peer0 up',
      'link set eth0 up',
      'addr add 192.0.2.1/24 dev eth0',
    ]);
    return [...(await inBulk(targets, runs)), ...(await amongMany(targets, runs))];
  } finally {
    nl.close();
  }
}

async function inBulk(targets: Targets, runs: number): Promise<BenchRow[]> {
  const prepare = () => freshDevice(targets);
  return [
    await contest({
      name: `${COUNT} routes, both families`,
      against: 'ip -batch',
      bar: 0.6,
      runs,
      prepare,
      ours: () => must(targets.route, routes),
      peer: () => batch('ip', routeLines),
    }),
    await contest({
      name: `${COUNT} FDB entries and ${COUNT} neighbours`,
      against: 'bridge -batch, ip -batch',
      bar: 0.4,
      runs,
      prepare,
      ours: async () => {
        await must(targets.fdb, fdb);
        await must(targets.neighbor, neighbors);
      },
      peer: () => {
        batch('bridge', fdbLines);
        batch('ip', neighborLines);
      },
    }),
    await contest({
      name: `${COUNT} routes, a next hop for each two`,
      against: 'ip -batch',
      runs: 3,
      prepare,
      ours: () => must(targets.route, peerRoutes),
      peer: () => batch('ip', peerLines),
    }),
  ];
}

/** What one change and one look cost beside all these routes. */
async function amongMany(targets: Targets, runs: number): Promise<BenchRow[]> {
  await freshDevice(targets);
  await must(targets.route, routes);
  const [first = ''] = prefixes;
  const prepare = () => {};
  let flip = 0;
  const change = (i: number) => ({ ...add(first, route(first, gateway(i % 2))), found: routes[0]?.wanted });
  const words = (i: number) =>
    (routeLines[0] ?? '')
      .replace(/fe80::\w+/, gateway(i % 2))
      .split(' ')
      .slice(2);
  const dumped = (...args: string[]) =>
    JSON.parse(ip('-j', ...args, 'route', 'show', 'proto', '201').toString());
  return [
    await contest({
      name: 'one route replaced',
      against: 'ip route replace',
      runs: 5 * runs,
      prepare,
      ours: () => must(targets.route, [change(flip++)]),
      peer: () => ip('route', 'replace', ...words(flip++)),
    }),
    await contest({
      name: `dump of ${COUNT} routes`,
      against: 'ip -j route, JSON.parse',
      runs,
      prepare,
      ours: () => targets.route.observe(),
      peer: () => [dumped(), dumped('-6')],
    }),
  ];
}

if (import.meta.main) console.log(table(await run()));
