/** What this machine is: its links and addresses, its kernel's abilities, other software's CNI configuration. Kept up to date. */
import type { Clock } from '../../model/clock.ts';
import type { WorldSink } from '../../model/world.ts';
import type { NetlinkTransport } from '../../targets/linux/netlink/transport.ts';
import { watchCni } from './cni.ts';
import { probeKernel } from './kernel.ts';
import { watchLinks } from './links.ts';

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

/** Fills the tables `links`, `kernel` and `cni`. */
export function startHostSource(options: HostSourceOptions): { close(): void } {
  const { sink, netlink } = options;
  const parts = [watchLinks(options), watchCni(options)];
  void probeKernel(netlink).then((facts) => {
    sink.put('kernel', 'kernel', facts);
    sink.ready('kernel');
  });
  return {
    close() {
      for (const part of parts) part.close();
    },
  };
}
