/** Target `address`: addresses on our links. What the kernel puts there by itself (fe80::, autoconfiguration) does not count. */
import type { IpPrefix } from '../../model/net/cidr.ts';
import { splitPrefix } from '../../model/net/cidr.ts';
import { type AddressBody, addressKey } from '../../model/rows/address.ts';
import { LINK_PREFIX } from '../../model/rows/link.ts';
import type { Target } from '../../reconcile/target.ts';
import { applyBatch, type BatchPlan, OK } from './batch.ts';
import { watchDrift } from './drift.ts';
import {
  type Address,
  deleteAddress,
  dumpAddresses,
  putAddress,
  readAddress,
} from './netlink/rtnetlink/address.ts';
import { RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_LINK } from './netlink/rtnetlink/constants.ts';
import type { NetlinkTransport } from './netlink/transport.ts';
import { indexesOf, listOwnLinks, ownLink } from './own-links.ts';
import { applyToPlaces, type Holder } from './places.ts';

export function addressTarget(nl: NetlinkTransport): Target<AddressBody> {
  const names = new Map<number, string>();
  return {
    name: 'address',
    stage: 0,
    same: () => true, // the key says all
    observe: () => observe(nl, names),
    async apply(batch) {
      const devs = batch.map(({ wanted, found }) => (wanted ?? found)?.dev ?? '');
      const index = await indexesOf(devs, (name) => ownLink(nl, name));
      const plan: BatchPlan<AddressBody> = {
        title: (change) => `address ${change.key}`,
        gone: ['EADDRNOTAVAIL', 'ENODEV', 'no-link'],
        encode({ wanted, found }) {
          const body = wanted ?? found;
          if (body === undefined) return [];
          const { address, length } = splitPrefix(body.address);
          const place = [index(body.dev), address, length] as const;
          return [...(found ? [deleteAddress(...place)] : []), ...(wanted ? [putAddress(...place)] : [])];
        },
      };
      const removals = new Set(batch.filter(({ wanted }) => wanted === undefined).map(({ key }) => key));
      const before = removals.size > 0 ? await observe(nl, names) : undefined;
      const outcomes = await applyToPlaces(nl, batch, plan, () => automaticOnes(nl));
      if (before === undefined && outcomes.every((outcome) => outcome.ok)) return outcomes;
      const after = await observe(nl, names);
      // With an IPv4 address the kernel removes the others of its prefix on the link (unless promote_secondaries is set).
      const lost = [...(before ?? [])].filter(([key]) => !after.has(key) && !removals.has(key));
      const again = lost.map(([key, body]) => ({ key, wanted: body, found: undefined }));
      await applyBatch(nl, again, plan);
      batch.forEach(({ key, wanted }, i) => {
        if (wanted !== undefined && after.has(key)) outcomes[i] = OK; // it was there already
      });
      return outcomes;
    },
    watch: (onDrift) =>
      watchDrift(
        {
          nl,
          groups: [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR],
          linkMatters: (link) => link.name.startsWith(LINK_PREFIX) || names.delete(link.index),
          keyOf(message) {
            const address = readAddress(message);
            const dev = address && names.get(address.index);
            return address && dev && addressKey(dev, bodyOf(dev, address).address);
          },
        },
        onDrift,
      ),
  };
}

/**
 * The kernel gives a link that gets IPv6 while it is up the link-local address of its MAC, which may be the wanted one. That would be
 * under duplicate address detection, and would go with the kernel's mind: ours takes its place.
 */
async function automaticOnes(nl: NetlinkTransport): Promise<(key: string) => Holder> {
  const automatic = (await list(nl)).filter((one) => one.automatic);
  const keys = new Set(automatic.map(({ body }) => addressKey(body.dev, body.address)));
  return (key) => (keys.has(key) ? 'ours' : undefined);
}

async function observe(nl: NetlinkTransport, names: Map<number, string>): Promise<Map<string, AddressBody>> {
  const found = (await list(nl, names)).filter(({ automatic }) => !automatic);
  return new Map(found.map(({ body }) => [addressKey(body.dev, body.address), body]));
}

/** All addresses of our links, the kernel's own too. */
async function list(
  nl: NetlinkTransport,
  names?: Map<number, string>,
): Promise<{ readonly body: AddressBody; readonly automatic: boolean }[]> {
  const found = [];
  for (const link of await listOwnLinks(nl)) {
    names?.set(link.index, link.name);
    for (const address of await nl.dump(dumpAddresses(link.index), readAddress)) {
      if (address.index !== link.index) continue;
      found.push({ body: bodyOf(link.name, address), automatic: address.automatic });
    }
  }
  return found;
}

function bodyOf(dev: string, { address, length }: Address): AddressBody {
  return { dev, address: `${address}/${length}` as IpPrefix };
}
