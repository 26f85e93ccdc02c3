/** The table `kernel`: what this kernel can do, found by asking it for things that it must refuse, each in a way that tells whether it has the feature. */
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import type { KernelFacts } from '../../model/cluster/host.ts';
import { describe } from '../../model/errors.ts';
import { isSocketError, socketAddon } from '../../targets/linux/netlink/addon.ts';
import { encode } from '../../targets/linux/netlink/attributes.ts';
import { AF_INET6, NETLINK_NETFILTER, NLM_F_REQUEST } from '../../targets/linux/netlink/constants.ts';
import { NFT_MSG_NEWTABLE } from '../../targets/linux/netlink/nftables/constants.ts';
import { batchBegin, batchEnd, message, TABLE } from '../../targets/linux/netlink/nftables/objects.ts';
import { createLink, type LinkSpec } from '../../targets/linux/netlink/rtnetlink/link.ts';
import { dumpNexthops } from '../../targets/linux/netlink/rtnetlink/nexthop.ts';
import { openNetlink } from '../../targets/linux/netlink/socket.ts';
import { NetlinkError, type NetlinkTransport } from '../../targets/linux/netlink/transport.ts';

const SOCK_DGRAM = 2;
/** NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN: the number of the ruleset's generation. */
const NFT_GETGEN = (10 << 8) | 16;
/** A name that no link gets: creation is refused for another reason before. */
const PROBE = 'fl-probe';

/** Never throws. Makes the kernel load the modules that it asks for by itself (vxlan, bridge, nf_tables). */
export async function probeKernel(netlink: NetlinkTransport): Promise<KernelFacts> {
  const missing: Record<string, string | undefined> = {
    vxlan: await linkKind(netlink, 'vxlan', { vxlan: { vni: 0xffffffff } }),
    bridge: await linkKind(netlink, 'bridge', { mac: '01:00:5e:00:00:01', bridge: {} }),
    nftables: await nftables(),
    nft_bridge: await nftBridge(),
    br_netfilter: existsSync('/proc/sys/net/bridge/bridge-nf-call-iptables')
      ? undefined
      : 'the module br_netfilter is not loaded (modprobe br_netfilter)',
    ipv6: ipv6(),
    nexthop: await nexthop(netlink),
  };
  const words = Object.entries(missing).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.freeze({ release: release(), missing: Object.freeze(Object.fromEntries(words)) });
}

/**
 * Asks for a link with an attribute that its kind must refuse: a VNI of more than 24 bits, a multicast MAC. A kernel without the kind says
 * EOPNOTSUPP "Unknown device type" before it looks at them; nothing is ever created.
 */
async function linkKind(
  netlink: NetlinkTransport,
  kind: string,
  spec: LinkSpec,
): Promise<string | undefined> {
  try {
    const [outcome] = await netlink.transact([createLink({ ...spec, name: PROBE })]);
    if (outcome === undefined || outcome.ok) return undefined;
    const error = outcome.error;
    const has = error instanceof NetlinkError && ['EINVAL', 'ERANGE', 'EADDRNOTAVAIL'].includes(error.code);
    return has ? undefined : `the kernel makes no ${kind} links: ${describe(error)}`;
  } catch (error) {
    return `the kernel makes no ${kind} links: ${describe(error)}`;
  }
}

async function nftables(): Promise<string | undefined> {
  try {
    const netfilter = openNetlink(NETLINK_NETFILTER);
    try {
      await netfilter.request(
        encode(NFT_GETGEN, NLM_F_REQUEST, (out) => out.u32(0)),
        () => undefined,
      );
      return undefined;
    } finally {
      netfilter.close();
    }
  } catch (error) {
    return `the kernel has no nftables: ${describe(error)}`;
  }
}

/** Asks for a table without a name. A kernel without nft's family bridge says so before it looks for one (nft_supported_family in nf_tables_api.c). */
async function nftBridge(): Promise<string | undefined> {
  try {
    const netfilter = openNetlink(NETLINK_NETFILTER);
    try {
      const nameless = message('bridge', NFT_MSG_NEWTABLE, 0, TABLE, {});
      const outcomes = await netfilter.transact([batchBegin(undefined), nameless, batchEnd()], {
        oneDatagram: true,
      });
      const [, outcome] = outcomes;
      if (outcome === undefined || outcome.ok) return undefined;
      const error = outcome.error;
      if (error instanceof NetlinkError && error.code === 'EINVAL') return undefined;
      return `the kernel has no nftables for bridges: ${describe(error)}`;
    } finally {
      netfilter.close();
    }
  } catch (error) {
    return `the kernel has no nftables for bridges: ${describe(error)}`;
  }
}

async function nexthop(netlink: NetlinkTransport): Promise<string | undefined> {
  try {
    await netlink.dump(dumpNexthops(), () => undefined);
    return undefined;
  } catch (error) {
    return `the kernel has no nexthop objects (before 5.3): ${describe(error)}`;
  }
}

function ipv6(): string | undefined {
  try {
    const addon = socketAddon();
    addon.close(addon.socket(AF_INET6, SOCK_DGRAM, 0));
  } catch (error) {
    if (isSocketError(error)) return `the kernel has no IPv6: ${error.message}`;
    throw error;
  }
  const path = '/proc/sys/net/ipv6/conf/all/disable_ipv6';
  if (!existsSync(path)) return 'the kernel has no IPv6 (no /proc/sys/net/ipv6)';
  return readFileSync(path, 'utf8').trim() === '1'
    ? 'IPv6 is switched off (net.ipv6.conf.all.disable_ipv6 = 1)'
    : undefined;
}
