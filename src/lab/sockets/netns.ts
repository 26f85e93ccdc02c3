import { closeSync, openSync, writeFileSync } from 'node:fs';
import { FairleadError } from '../../model/errors.ts';
import { socketAddon } from '../../targets/linux/netlink/addon.ts';

const CLONE_NEWNET = 0x40000000;

let home: number | undefined;

/** A named network namespace (`/run/netns/NAME`), held open so that sockets can be born in it. */
export class NetNs {
  readonly name: string;
  readonly #fd: number;

  constructor(name: string) {
    home ??= openSync('/proc/self/ns/net', 'r');
    this.name = name;
    this.#fd = openSync(this.path, 'r');
  }

  get path(): string {
    return `/run/netns/${this.name}`;
  }

  /**
   * Runs `work` with this thread inside the namespace. A socket keeps the namespace it was born in and `/proc/sys/net` shows the
   * caller's, so `work` must do all of it synchronously.
   */
  inside<T>(work: () => T): T {
    const addon = socketAddon();
    addon.setns(this.#fd, CLONE_NEWNET);
    try {
      return work();
    } finally {
      if (home !== undefined) addon.setns(home, CLONE_NEWNET);
    }
  }

  /** Sets kernel settings of this namespace; keys are paths under /proc/sys. Throws `lab-sysctl`, naming the path. */
  sysctls(settings: Readonly<Record<string, string>>): void {
    this.inside(() => {
      for (const [path, value] of Object.entries(settings)) {
        try {
          writeFileSync(`/proc/sys/${path}`, value);
        } catch (cause) {
          throw new FairleadError('lab-sysctl', `${this.name}: cannot set ${path} to ${value}`, { cause });
        }
      }
    });
  }

  close(): void {
    closeSync(this.#fd);
  }
}
