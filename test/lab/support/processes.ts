import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Inode text of a process's namespace, `pid:[4026532…]`. */
export const namespaceOf = (pid: number, kind: 'pid' | 'net' | 'mnt'): string =>
  readlinkSync(`/proc/${pid}/ns/${kind}`);

/** Processes of this machine that live in a pid namespace. */
export function processesIn(namespace: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return namespaceOf(pid, 'pid') === namespace && !isZombie(pid);
      } catch {
        return false;
      }
    });
}

function isZombie(pid: number): boolean {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return text.slice(text.lastIndexOf(')') + 2).startsWith('Z');
}

/** Names of the links in this process's own network namespace. */
export function hostLinks(): string[] {
  return readFileSync('/proc/self/net/dev', 'latin1')
    .split('\n')
    .slice(2)
    .map((line) => line.split(':')[0]?.trim() ?? '')
    .filter(Boolean)
    .sort();
}

export const hostMounts = (): string => readFileSync('/proc/self/mounts', 'latin1');
