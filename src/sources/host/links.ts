/** The tables `links` and `ports`, from rtnetlink: listed again some milliseconds after the last of a burst of notifications, and told only where it differs. */
import { readFileSync } from 'node:fs';
import type { BridgePort, HostLink } from '../../model/cluster/host.ts';
import { describe } from '../../model/errors.ts';
import type { IpPrefix } from '../../model/net/cidr.ts';
import { compareIp } from '../../model/net/ip.ts';
import type { Mac } from '../../model/net/mac.ts';
import type { NetlinkMessage } from '../../targets/linux/netlink/attributes.ts';
import { type Address, dumpAddresses, readAddress } from '../../targets/linux/netlink/rtnetlink/address.ts';
import {
  RTM_DELLINK,
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_IPV6_IFADDR,
  RTNLGRP_LINK,
} from '../../targets/linux/netlink/rtnetlink/constants.ts';
import { type Link, listLinks, readLink } from '../../targets/linux/netlink/rtnetlink/link.ts';
import type { NetlinkTransport } from '../../targets/linux/netlink/transport.ts';
import type { HostSourceOptions } from './options.ts';

/** A burst of notifications is waited out this long. */
const QUIET = 5;
/** Two listings are at least so far apart: a hundred pods that start at once cost ten listings a second. */
const APART = 100;
/** Ports come and go all day, and nothing hurries: a newborn pod's is known from its birth. */
const PORTS_LATER = 1000;
const RETRY = 1000;

/** A pod's end of a bridge: it comes and goes with the pod and carries nothing of ours. Of those, only name, bridge and MTU matter. */
const isPodPort = (link: Pick<Link, 'kind' | 'master'>): boolean =>
  link.kind === 'veth' && link.master !== undefined;

export function watchLinks({ sink, netlink, clock, log }: HostSourceOptions): { close(): void } {
  let told = new Map<string, HostLink>();
  let known = new Set<number>();
  let listed = Number.NEGATIVE_INFINITY;
  let timer: { readonly due: number; readonly wait: { cancel(): void } } | undefined;
  let listing = false;
  /** Asked for while a listing is under way: so much later. */
  let again: number | undefined;
  let closed = false;

  const schedule = (delay: number) => {
    if (closed) return;
    if (listing) {
      again = Math.min(again ?? delay, delay);
      return;
    }
    const due = clock.monotonic() + delay;
    if (timer && timer.due <= due) return;
    timer?.wait.cancel();
    timer = { due, wait: clock.after(delay, () => void list()) };
  };
  const soon = () => schedule(Math.max(QUIET, listed + APART - clock.monotonic()));
  const list = async () => {
    timer = undefined;
    listing = true;
    again = undefined;
    let failed = false;
    try {
      const all = await listLinks(netlink);
      const links = await withAddresses(netlink, all);
      if (closed) return;
      told = tell(told, links);
      sink.replace('ports', portsOf(all));
      known = new Set(links.map((link) => link.index));
      sink.ready('links');
      sink.ready('ports');
    } catch (error) {
      failed = true;
      log?.warn({ source: 'links' }, `cannot list links: ${describe(error)}`);
      sink.notReady('links', describe(error));
      sink.notReady('ports', describe(error));
    }
    listing = false;
    listed = clock.monotonic();
    if (failed) schedule(RETRY);
    else if (again !== undefined) schedule(Math.max(again, APART));
  };
  const tell = (before: ReadonlyMap<string, HostLink>, links: readonly HostLink[]) => {
    const after = new Map(links.map((link) => [link.name, link]));
    for (const name of before.keys()) if (!after.has(name)) sink.remove('links', name);
    for (const [name, link] of after) {
      if (JSON.stringify(before.get(name)) !== JSON.stringify(link)) sink.put('links', name, link);
    }
    return after;
  };
  const onMessage = (message: NetlinkMessage) => {
    if (matters(message, known)) soon();
    else if (readLink(message)?.kind === 'veth') schedule(PORTS_LATER);
  };

  const groups = [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR];
  const subscription = netlink.subscribe(groups, onMessage, soon);
  void list();
  return {
    close() {
      closed = true;
      timer?.wait.cancel();
      subscription.close();
    },
  };
}

function matters(message: NetlinkMessage, known: ReadonlySet<number>): boolean {
  const link = readLink(message);
  if (link === undefined) return known.has(readAddress(message)?.index ?? 0);
  if (known.has(link.index)) return true;
  return message.type !== RTM_DELLINK && !isPodPort(link);
}

/** All links but pods' ends of bridges, with their addresses. */
async function withAddresses(netlink: NetlinkTransport, all: readonly Link[]): Promise<HostLink[]> {
  const links = all.filter((link) => !isPodPort(link));
  const addresses = Map.groupBy(await netlink.dump(dumpAddresses(), readAddress), (a) => a.index);
  return links.map((link) => hostLink(link, addresses.get(link.index) ?? []));
}

function portsOf(all: readonly Link[]): ReadonlyMap<string, BridgePort> {
  const bridges = new Map(
    all.filter(({ kind }) => kind === 'bridge').map(({ index, name }) => [index, name]),
  );
  const ports = all.filter(isPodPort).flatMap(({ name, mtu, master = 0 }): [string, BridgePort][] => {
    const bridge = bridges.get(master);
    return bridge === undefined ? [] : [[name, Object.freeze({ name, bridge, mtu })]];
  });
  return new Map(ports);
}

function hostLink(link: Link, addresses: readonly Address[]): HostLink {
  const acceptRa = readAcceptRa(link.name);
  return Object.freeze({
    index: link.index,
    name: link.name,
    kind: link.kind,
    mtu: link.mtu,
    up: link.up,
    carrier: link.carrier,
    mac: link.mac === '' ? undefined : (link.mac as Mac),
    alias: link.alias,
    addresses: addresses
      .toSorted((a, b) => compareIp(a.address, b.address) || a.length - b.length)
      .map((a) => `${a.address}/${a.length}` as IpPrefix),
    master: link.master,
    ...(acceptRa === undefined ? {} : { acceptRa }),
  });
}

/** Synchronous: /proc/sys/net shows the network namespace of the calling thread. */
function readAcceptRa(name: string): number | undefined {
  try {
    const value = Number(readFileSync(`/proc/sys/net/ipv6/conf/${name}/accept_ra`, 'utf8'));
    return Number.isInteger(value) ? value : undefined;
  } catch {
    return undefined; // no IPv6 on it
  }
}
