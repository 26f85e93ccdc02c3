/** Target `fdb`: permanent forwarding entries of our vxlan devices, one VTEP a MAC. */
import type { Ip } from '../../model/net/ip.ts';
import type { Mac } from '../../model/net/mac.ts';
import { type FdbBody, fdbKey } from '../../model/rows/fdb.ts';
import type { Target } from '../../reconcile/target.ts';
import { type EntryKind, entryTarget } from './link-entries.ts';
import {
  deleteFdb,
  dumpFdb,
  type FdbEntry,
  NUD_NOARP,
  NUD_PERMANENT,
  putFdb,
  readFdb,
} from './netlink/rtnetlink/neighbor.ts';
import type { NetlinkTransport } from './netlink/transport.ts';

interface FoundFdb extends FdbBody {
  /** It has another port, VNI, underlay or state than we give. */
  readonly altered?: true;
}

export function fdbTarget(nl: NetlinkTransport): Target<FdbBody> {
  return entryTarget(nl, FDB);
}

const FDB: EntryKind<FoundFdb, FdbEntry> = {
  name: 'fdb',
  title: 'fdb',
  same: (wanted, found) => wanted.dst === found.dst && found.altered === undefined,
  dump: dumpFdb,
  read: readFdb,
  keyOf: (dev, { mac }) => fdbKey(dev, mac),
  bodyOf(dev, { mac, dst, state, overrides }) {
    // Learned entries (somebody switched learning on) are the kernel's and age.
    if (dst === undefined || (state & (NUD_PERMANENT | NUD_NOARP)) === 0) return undefined;
    const altered = overrides || state !== NUD_PERMANENT;
    return { dev, mac: mac as Mac, dst: dst as Ip, ...(altered ? { altered: true as const } : {}) };
  },
  valueOf: ({ dst, altered }) => (altered ? 'altered' : dst),
  put: (index, { mac, dst }) => putFdb(index, mac, dst),
  remove: (index, { mac }) => deleteFdb(index, mac),
};
