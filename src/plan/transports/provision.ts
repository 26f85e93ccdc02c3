import type { Node } from '../../model/cluster/node.ts';
import { equal } from '../../model/equal.ts';
import type { Problem } from '../../model/problem.ts';
import type { Row } from '../../model/rows/row.ts';
import type { NodeIndex } from '../nodes/node-index.ts';
import { carriersInUse } from './pairs.ts';
import { enabledTransports, TRANSPORTS, transportOf } from './registry.ts';
import type { Carrier, Device } from './transport.ts';
import type { Self } from './underlay.ts';

/** More devices than this are not made because other nodes ask for them: their annotations may hold anything. */
const MOST_DEVICES = 8;

export interface Provision {
  /** Carriers that we promise to receive by. */
  readonly accepts: readonly Carrier[];
  /** Carriers that we send by or are about to. */
  readonly uses: readonly Carrier[];
  /** What must be on this machine: all that we accept, all that we still have promised, and all that we send by. */
  readonly devices: ReadonlyMap<Carrier, Device>;
  /** All rows of the devices, and of who may send to them: the same list as long as nothing of it is different. */
  readonly rows: readonly Row[];
  readonly problems: readonly Problem[];
}

/**
 * What this node receives and sends by. See "Changing over" in README.md for why a device stays as long as the API server holds
 * our promise, and not only as long as we mean it.
 */
export function provision(self: Self, index: NodeIndex): Provision {
  const inUse = carriersInUse(self, index);
  const asked = index.usedByOthers(self.name);
  const promised = promisedBy(index.get(self.name));
  const carriers = [inUse, asked, promised];
  const last = LAST.get(self);
  if (last && equal(last.carriers, carriers)) return last.provision;
  const fresh = provide(self, inUse, asked, promised);
  LAST.set(self, { carriers, provision: fresh });
  return fresh;
}

/** The last answer: Nodes come and go, and hardly ever change what is sent by. */
const LAST = new WeakMap<Self, { readonly carriers: unknown; readonly provision: Provision }>();

/** What the others may have read from us: what the API server has, and what we wrote and have not seen come back. */
function promisedBy(own: Node | undefined): readonly string[] {
  return [...(own?.facts?.accepts ?? []), ...(own?.facts?.uses ?? []), ...(own?.unseen ?? [])].sort();
}

function provide(
  self: Self,
  inUse: readonly Carrier[],
  asked: readonly string[],
  promised: readonly string[],
): Provision {
  const enabled = enabledTransports(self.config).flatMap((transport) => transport.enabled(self));
  const always = TRANSPORTS.filter((transport) => transport.receivesAlways).flatMap((t) => t.enabled(self));
  const meant = new Set([...always, ...enabled, ...inUse, ...asked]);
  const devices = new Map<Carrier, Device>();
  const accepts: Carrier[] = [];
  const problems: Problem[] = [];
  for (const carrier of new Set([...meant, ...promised])) {
    const device = transportOf(carrier)?.device(carrier, self);
    if (!device) continue;
    const tooMany = devices.size >= MOST_DEVICES && !enabled.includes(carrier) && !inUse.includes(carrier);
    if (tooMany) {
      problems.push(refusal(carrier));
      continue;
    }
    devices.set(carrier, device);
    problems.push(...(device.problems ?? []));
    if (meant.has(carrier)) accepts.push(carrier);
  }
  const guards = TRANSPORTS.flatMap((transport) => transport.guard?.(self, devices.keys()) ?? []);
  const rows = [...[...devices.values()].flatMap((device) => device.rows), ...guards];
  return { accepts: accepts.sort(), uses: inUse, devices, rows, problems };
}

function refusal(carrier: Carrier): Problem {
  return {
    object: `carrier ${carrier}`,
    message: `other nodes send by it, but this node already receives by ${MOST_DEVICES} carriers`,
    hint: 'give all nodes the same transport, VNI and port',
  };
}
