import type { Clock } from '../../model/clock.ts';
import type { WorldSink } from '../../model/world.ts';
import type { NetlinkTransport } from '../../targets/linux/netlink/transport.ts';

export interface HostLog {
  warn(fields: object, message: string): void;
}

export interface HostSourceOptions {
  readonly sink: WorldSink;
  /** NETLINK_ROUTE. */
  readonly netlink: NetlinkTransport;
  /** Folder of CNI configuration files, `/etc/cni/net.d`. It need not exist. */
  readonly cniDir: string;
  /** Name of the file in it that we write. */
  readonly ownCniFile: string;
  readonly clock: Clock;
  readonly log?: HostLog;
}
