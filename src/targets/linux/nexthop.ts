/**
 * Target `nexthop`: ours = protocol 201. An id that somebody else's nexthop holds is left to it and reported; a change of our own is one
 * atomic replace, and the routes that use it follow at once.
 */
import { FairleadError } from '../../model/errors.ts';
import type { Ip } from '../../model/net/ip.ts';
import { type NexthopBody, nexthopKey } from '../../model/rows/nexthop.ts';
import { ROUTE_PROTOCOL } from '../../model/rows/route.ts';
import type { Change, Outcome, Target } from '../../reconcile/target.ts';
import type { BatchPlan } from './batch.ts';
import { watchDrift } from './drift.ts';
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from './netlink/constants.ts';
import { RTNLGRP_LINK, RTNLGRP_NEXTHOP } from './netlink/rtnetlink/constants.ts';
import {
  deleteNexthop,
  dumpNexthops,
  type KernelNexthop,
  newNexthop,
  readNexthop,
} from './netlink/rtnetlink/nexthop.ts';
import { RTNH_F_ONLINK } from './netlink/rtnetlink/route.ts';
import { NetlinkError, type NetlinkTransport } from './netlink/transport.ts';
import { indexesInUse, namesOf } from './own-links.ts';
import { applyToPlaces, type Holder } from './places.ts';
import { protocolName } from './route-holders.ts';

const EOPNOTSUPP = 95;

/** A nexthop of our protocol as found; what we never make is kept so that it can be told apart and removed. */
interface FoundNexthop extends NexthopBody {
  readonly altered?: true;
}

export function nexthopTarget(nl: NetlinkTransport): Target<NexthopBody> {
  /** Links that our nexthops use: going down or away they take them along, and nobody says so. */
  const used = new Set<number>();
  return {
    name: 'nexthop',
    stage: 2,
    same,
    observe: () => observe(nl, used),
    apply: (batch) => apply(nl, batch, used),
    watch: (onDrift) =>
      watchDrift(
        {
          nl,
          groups: [RTNLGRP_LINK, RTNLGRP_NEXTHOP],
          linkMatters: (link) => used.has(link.index),
          keyOf(message) {
            const nexthop = readNexthop(message);
            return nexthop?.protocol === ROUTE_PROTOCOL ? nexthopKey(nexthop.id) : undefined;
          },
        },
        onDrift,
      ),
  };
}

function same(wanted: NexthopBody, found: FoundNexthop): boolean {
  const { altered, dev, via, onlink } = found;
  return altered === undefined && wanted.dev === dev && wanted.via === via && wanted.onlink === onlink;
}

async function observe(nl: NetlinkTransport, used: Set<number>): Promise<ReadonlyMap<string, FoundNexthop>> {
  const all = await dump(nl);
  const ours = all.filter((nexthop) => nexthop.protocol === ROUTE_PROTOCOL);
  used.clear();
  for (const nexthop of ours) used.add(nexthop.index);
  const names = await namesOf(nl, used);
  return new Map(ours.map((nexthop) => [nexthopKey(nexthop.id), bodyOf(nexthop, names)]));
}

/** A kernel without nexthop objects has none of ours either. */
async function dump(nl: NetlinkTransport): Promise<readonly KernelNexthop[]> {
  try {
    return await nl.dump(dumpNexthops(), readNexthop);
  } catch (error) {
    if (error instanceof NetlinkError && error.errno === EOPNOTSUPP) return [];
    throw error;
  }
}

function bodyOf(nexthop: KernelNexthop, names: ReadonlyMap<number, string>): FoundNexthop {
  const { id, index, via, flags, special } = nexthop;
  return {
    id,
    dev: names.get(index) ?? `#${index}`,
    via: via as Ip,
    onlink: (flags & RTNH_F_ONLINK) !== 0,
    ...(special ? { altered: true as const } : {}),
  };
}

async function apply(
  nl: NetlinkTransport,
  batch: readonly Change<NexthopBody>[],
  used: Set<number>,
): Promise<readonly Outcome[]> {
  const devs = batch.flatMap(({ wanted }) => wanted?.dev ?? []);
  const indexOf = await indexesInUse(nl, devs, used);
  const plan: BatchPlan<NexthopBody> = {
    title: (change) => `nexthop ${change.key}`,
    gone: ['ENOENT', 'ENODEV'],
    encode({ wanted, found }) {
      if (wanted === undefined) return found === undefined ? [] : [deleteNexthop(found.id)];
      const { id, dev, via, onlink } = wanted;
      const spec = { id, via, index: indexOf(dev), flags: onlink ? RTNH_F_ONLINK : 0 };
      const flags = NLM_F_CREATE | (found === undefined ? NLM_F_EXCL : NLM_F_REPLACE);
      return [newNexthop({ ...spec, protocol: ROUTE_PROTOCOL }, flags)];
    },
  };
  return applyToPlaces(nl, batch, plan, () => holdersOf(nl));
}

async function holdersOf(nl: NetlinkTransport): Promise<(key: string, wanted: NexthopBody) => Holder> {
  const all = await dump(nl);
  const holders = new Map(all.map((nexthop) => [nexthop.id, nexthop]));
  const names = await namesOf(
    nl,
    all.map(({ index }) => index),
  );
  return (key, { id }) => {
    const holder = holders.get(id);
    if (!holder) return undefined;
    if (holder.protocol === ROUTE_PROTOCOL) return 'ours';
    const message = `nexthop ${key}: the id is held by another's nexthop: ${wordsOf(holder, names)}`;
    const hint = `if nothing needs it: ip nexthop delete id ${key}`;
    return new FairleadError('foreign-nexthop', message, { hint });
  };
}

function wordsOf({ protocol, via, index }: KernelNexthop, names: ReadonlyMap<number, string>): string {
  const gateway = via === undefined ? '' : ` via ${via}`;
  return `proto ${protocolName(protocol)}${gateway}${index === 0 ? '' : ` dev ${names.get(index)}`}`;
}
