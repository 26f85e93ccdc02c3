import type { Config } from '../../model/cluster/config.ts';
import type { World, WorldChange } from '../../model/world.ts';
import { placeOf, podLinks, touchesPlace, touchesPodLinks } from '../nodes/pod-links.ts';
import { podNetwork } from '../nodes/pod-network.ts';
import { nothing, type Planner, type UnitPlan } from '../planner.ts';
import { birthRows, portRows, tableRows } from './rows.ts';

/** `table` = its chains and sets; `port/LINK` = a port that the kernel shows; `birth/ID` = a port that the CNI plugin told of. */
type Unit = 'table' | `port/${string}` | `birth/${string}`;

/** Which frames pods may put on the bridge that we attach them to: known without the API server. See README.md. */
export const framesPlanner: Planner<Unit> = {
  name: 'frames',
  reads: ['config', 'kernel', 'cni', 'ports', 'births'],
  writes: ['nft-bridge', 'nft'],
  units: everything,
  *affected(change, world) {
    yield* affected(change, world);
  },
  plan(unit, world) {
    const config = world.config.objects.get('config');
    const bridge = config && ourBridge(config, world);
    if (config === undefined || bridge === undefined) return nothing;
    return planOn([bridge], unit, config, world);
  },
};

/** … and on bridges that pods of before are still on, told by their addresses. The rows of both are the same where they meet. */
export const otherFramesPlanner: Planner<Unit> = {
  name: 'frames-of-others',
  reads: [...framesPlanner.reads, 'links', 'nodes'],
  writes: framesPlanner.writes,
  units: everything,
  *affected(change, world) {
    yield* affected(change, world);
    if (change.source === 'links' && touchesPodLinks(change)) yield* everything(world);
    if (change.source === 'nodes' && touchesPlace(change, world)) yield* everything(world);
  },
  plan(unit, world) {
    const config = world.config.objects.get('config');
    if (!config?.policy.enabled) return nothing;
    const place = placeOf(world.nodes.objects.get(config.nodeName));
    const ours = ourBridge(config, world);
    const others = podLinks(world, place).bridges.filter((bridge) => bridge !== ours);
    return others.length === 0 ? nothing : planOn(others, unit, config, world);
  },
};

function planOn(bridges: readonly string[], unit: Unit, config: Config, world: World): UnitPlan {
  const missing = world.kernel.objects.get('kernel')?.missing ?? {};
  if (missing.nftables !== undefined) return nothing; // said once, of policies as a whole
  if (missing.nft_bridge !== undefined)
    return unit === 'table' ? unguarded(bridges, missing.nft_bridge) : nothing;
  const binds = config.policy.unknownPods === 'closed';
  if (unit === 'table') return { rows: tableRows(binds) };
  const key = unit.slice(unit.indexOf('/') + 1);
  if (unit.startsWith('port/')) {
    const port = world.ports.objects.get(key);
    return port && bridges.includes(port.bridge) ? { rows: portRows(key) } : nothing;
  }
  const birth = world.births.objects.get(key);
  return birth?.attached && bridges.includes(birth.attached.bridge)
    ? { rows: birthRows(birth, binds) }
    : nothing;
}

function* affected({ source, key }: WorldChange, world: World): Iterable<Unit> {
  if (source === 'births') yield `birth/${key}`;
  if (source === 'ports') yield `port/${key}`;
  // With `ptp` the last port on the bridge takes the table with it.
  const shared = source === 'ports' && world.config.objects.get('config')?.cni.plugin === 'ptp';
  if (source === 'config' || source === 'kernel' || source === 'cni' || shared) yield* everything(world);
}

function* everything(world: World): Iterable<Unit> {
  yield 'table';
  for (const name of world.ports.objects.keys()) yield `port/${name}`;
  for (const id of world.births.objects.keys()) yield `birth/${id}`;
}

/** The bridge whose ports are all ours to judge; `undefined` without policies, and where pods hang on none of ours (any more). */
function ourBridge(config: Config, world: World): string | undefined {
  const { policy, router, cni } = config;
  if (!policy.enabled || !router.enabled || !cni.write) return undefined;
  const { bridge } = podNetwork(config, world.cni.objects.values());
  if (cni.plugin === 'bridge') return bridge;
  for (const port of world.ports.objects.values()) if (port.bridge === bridge) return bridge;
  return undefined;
}

function unguarded(bridges: readonly string[], reason: string): UnitPlan {
  return {
    rows: [],
    problems: [
      {
        object: 'network policy',
        message: `a pod on ${bridges.join(' or ')} that may send raw frames can reach its neighbours past all policies, and under another's address: ${reason}`,
        hint: 'take NET_RAW away from containers, set cni.plugin to ptp, or use a kernel with CONFIG_NF_TABLES_BRIDGE',
      },
    ],
  };
}
