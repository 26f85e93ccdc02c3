/** What this machine is: its links and addresses, its kernel's abilities, other software's CNI configuration. Kept up to date. */
import { watchCni } from './cni.ts';
import { probeKernel } from './kernel.ts';
import { watchLinks } from './links.ts';
import type { HostSourceOptions } from './options.ts';

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
