/**
 * Target `link`: vxlan devices that we make. Ours = name begins with `fl-` and alias with `fairlead` (`own-links.ts`).
 * MTU, MAC, state, alias, `local` and the underlay change in place; VNI, port and the family of `local` cannot: such a device is deleted and made anew.
 */
import { FairleadError } from '../../model/errors.ts';
import { familyOf, ip } from '../../model/net/ip.ts';
import type { Mac } from '../../model/net/mac.ts';
import { LINK_PREFIX, type LinkBody, type VxlanLink } from '../../model/rows/link.ts';
import type { Change, Outcome, Target } from '../../reconcile/target.ts';
import { OK } from './batch.ts';
import { RTNLGRP_LINK } from './netlink/rtnetlink/constants.ts';
import {
  createLink,
  deleteLink,
  findLink,
  type Link,
  readLink,
  setLink,
  type VxlanData,
  vxlanLocal,
} from './netlink/rtnetlink/link.ts';
import { NetlinkError, type NetlinkTransport } from './netlink/transport.ts';
import { foreignLink, isOurs, LINK_GROUP, listOwnLinks, namesOf, noLink } from './own-links.ts';

/** What a device of ours has that the body does not say, because it is always the same. */
interface FoundVxlan extends VxlanLink {
  /** Somebody switched learning or automatic addresses on. */
  readonly altered?: true;
}

export function linkTarget(nl: NetlinkTransport): Target<LinkBody> {
  return {
    name: 'link',
    stage: 0,
    same,
    observe: () => observe(nl),
    async apply(batch) {
      const outcomes: Outcome[] = [];
      for (const change of batch) outcomes.push(await applyOne(nl, change));
      return outcomes;
    },
    watch(onDrift) {
      const seen = new Map<number, string>();
      const onMessage = (message: Parameters<typeof readLink>[0]) => {
        const link = readLink(message);
        if (link === undefined) return;
        // A link of ours may have been renamed: then its old name is the row that is missing.
        const keys = new Set(
          [link.name, seen.get(link.index) ?? ''].filter((name) => name.startsWith(LINK_PREFIX)),
        );
        if (keys.size === 0) return;
        seen.set(link.index, link.name);
        onDrift(keys);
      };
      return nl.subscribe([RTNLGRP_LINK], onMessage, () => onDrift('unknown'));
    },
  };
}

function same(wanted: LinkBody, found: LinkBody): boolean {
  return (
    wanted.mtu === found.mtu &&
    (wanted.mac === undefined || wanted.mac === found.mac) &&
    wanted.up === found.up &&
    wanted.alias === found.alias &&
    sameType(wanted.type, found.type)
  );
}

function sameType(wanted: VxlanLink, found: FoundVxlan): boolean {
  return (
    keepsDevice(wanted, found) &&
    wanted.local === found.local &&
    wanted.underlay === found.underlay &&
    found.altered === undefined
  );
}

/** Whether the kernel can turn one device into the other. */
function keepsDevice(wanted: VxlanLink, found: VxlanLink): boolean {
  return (
    wanted.vni === found.vni && wanted.port === found.port && familyOf(wanted.local) === familyOf(found.local)
  );
}

async function observe(nl: NetlinkTransport): Promise<ReadonlyMap<string, LinkBody>> {
  const links = await listOwnLinks(nl);
  const underlays = await namesOf(
    nl,
    links.map((link) => link.vxlan?.underlay ?? 0).filter((index) => index > 0),
  );
  return new Map(links.map((link) => [link.name, bodyOf(link, underlays)]));
}

function bodyOf(link: Link, underlays: ReadonlyMap<number, string>): LinkBody {
  const vxlan = link.vxlan ?? {};
  const altered = vxlan.learning !== 0 || link.noAutoAddress === false || (vxlan.collectMetadata ?? 0) !== 0;
  const type: FoundVxlan = {
    kind: 'vxlan',
    vni: vxlan.vni ?? 0,
    port: vxlan.port ?? 0,
    local: ip(vxlan.local4 ?? vxlan.local6 ?? '::'),
    underlay: underlays.get(vxlan.underlay ?? 0) ?? '',
    ...(altered ? { altered: true as const } : {}),
  };
  return {
    name: link.name,
    mtu: link.mtu,
    mac: link.mac === '' ? undefined : (link.mac as Mac),
    up: link.up,
    alias: link.alias,
    type,
  };
}

async function applyOne(nl: NetlinkTransport, change: Change<LinkBody>): Promise<Outcome> {
  try {
    if (change.wanted === undefined) await remove(nl, change.key);
    else await put(nl, change.wanted);
    return OK;
  } catch (error) {
    if (!(error instanceof FairleadError) || error.code === 'ambiguous') throw error;
    return { ok: false, error };
  }
}

async function remove(nl: NetlinkTransport, name: string): Promise<void> {
  const link = await findLink(nl, name);
  // Somebody else's link by that name means that ours is gone.
  if (link === undefined || !isOurs(link)) return;
  await must(nl, deleteLink(link.index), `delete link ${name}`, 'ENODEV');
}

async function put(nl: NetlinkTransport, wanted: LinkBody): Promise<void> {
  const underlay = await findLink(nl, wanted.type.underlay);
  if (underlay === undefined) throw noLink(wanted.type.underlay);
  const data = vxlanData(wanted.type, underlay.index);
  let current = await findLink(nl, wanted.name);
  if (current !== undefined && !isOurs(current)) throw foreignLink(wanted.name);
  if (current !== undefined && !keepsDevice(wanted.type, bodyOf(current, new Map()).type)) {
    await must(nl, deleteLink(current.index), `delete link ${wanted.name}`, 'ENODEV');
    current = undefined;
  }
  current ??= await create(nl, wanted, data);
  const title = `set link ${wanted.name} (mtu ${wanted.mtu}, over ${underlay.name} with mtu ${underlay.mtu})`;
  // The kernel takes neither the port (even the same) nor the MTU together with what is vxlan's own.
  const { port: _port, ...changeable } = data;
  const was = bodyOf(current, new Map([[underlay.index, underlay.name]])).type;
  if (!sameType(wanted.type, was)) await must(nl, setLink(current.index, { vxlan: changeable }), title);
  const change = setLink(current.index, {
    mtu: wanted.mtu,
    alias: wanted.alias,
    ...(wanted.mac === undefined || wanted.mac === current.mac ? {} : { mac: wanted.mac }),
  });
  await must(nl, change, title);
  if (current.noAutoAddress !== true) await stopAutoAddress(nl, wanted.name);
  // After the above: a link that comes up makes itself a fe80:: address, unless it was told not to.
  if (wanted.up !== current.up) await must(nl, setLink(current.index, { up: wanted.up }), title);
}

/**
 * A link below 1280 bytes has no IPv6 at all: the kernel takes everything of it away, refuses its settings (EAFNOSUPPORT) and
 * begins anew when the MTU allows it again. So this comes after the MTU, in a message of its own, and only where there is IPv6.
 */
async function stopAutoAddress(nl: NetlinkTransport, name: string): Promise<void> {
  const link = await findLink(nl, name);
  if (link?.noAutoAddress !== false) return;
  const message = setLink(link.index, { noAutoAddress: true });
  await must(nl, message, `set link ${name} (addrgenmode none)`, 'EAFNOSUPPORT');
}

async function create(nl: NetlinkTransport, wanted: LinkBody, data: VxlanData): Promise<Link> {
  const { name, mtu } = wanted;
  const message = createLink({
    name,
    mtu,
    group: LINK_GROUP,
    ...(wanted.mac === undefined ? {} : { mac: wanted.mac }),
    vxlan: data,
  });
  await must(nl, message, `create link ${name} (vxlan ${wanted.type.vni}, port ${wanted.type.port})`);
  const link = await findLink(nl, name);
  if (link === undefined) throw noLink(name);
  return link;
}

function vxlanData(type: VxlanLink, underlay: number): VxlanData {
  return { vni: type.vni, port: type.port, underlay, learning: 0, ...vxlanLocal(type.local) };
}

async function must(nl: NetlinkTransport, message: Buffer, title: string, fine?: string): Promise<void> {
  const [outcome = OK] = await nl.transact([message]);
  if (outcome.ok) return;
  const error = outcome.error;
  if (!(error instanceof NetlinkError)) throw error;
  if (error.code !== fine) throw new NetlinkError(error.errno, error.words, title);
}
