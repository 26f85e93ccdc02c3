/** Network namespaces by file (`/run/netns/NAME`, `/proc/PID/ns/net`). A socket keeps the namespace that it was created in. */
import { closeSync, openSync } from 'node:fs';
import { socketAddon } from './addon.ts';
import { CLONE_NEWNET } from './constants.ts';

/**
 * Runs `work` with the calling thread in the namespace at `path`, and comes back. Synchronous on purpose: nothing else of this thread may run
 * in between. Asynchronous file calls inside would use other threads, which stay outside.
 */
export function inNetworkNamespace<T>(path: string, work: () => T): T {
  const addon = socketAddon();
  const home = openSync('/proc/thread-self/ns/net', 'r');
  try {
    const there = openSync(path, 'r');
    try {
      addon.setns(there, CLONE_NEWNET);
    } finally {
      closeSync(there);
    }
    try {
      return work();
    } finally {
      addon.setns(home, CLONE_NEWNET);
    }
  } finally {
    closeSync(home);
  }
}
