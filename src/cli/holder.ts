import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface Holder {
  readonly pid: number;
  /** As the kernel names it: `sleeping`, `running`, `stopped`, `disk sleep`. */
  readonly state: string;
}

/**
 * The process that listens on a unix socket, as far as this one may see it (proc_pid_fd(5)); `undefined` when it may not, or in another
 * pid or network namespace. The agent gives its socket its name by a hard link, so the kernel knows it by a longer one.
 */
export function holderOf(path: string): Holder | undefined {
  try {
    const inodes = new Set(listening(path).map((inode) => `socket:[${inode}]`));
    if (inodes.size === 0) return undefined;
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      if (holdsOne(pid, inodes)) return { pid: Number(pid), state: stateOf(pid) };
    }
  } catch {
    // A machine without /proc, or a process that ended under way: nobody is named.
  }
  return undefined;
}

/** Lines of /proc/net/unix: "address: references protocol flags type state inode path", addresses hidden or not. */
function listening(path: string): string[] {
  return readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , , , , , name = '']) => name === path || /^\.[0-9a-f]{8}$/.test(suffix(name, path)))
    .map(([, , , , , , inode = '']) => inode);
}

const suffix = (name: string, path: string): string => (name.startsWith(path) ? name.slice(path.length) : '');

function holdsOne(pid: string, inodes: ReadonlySet<string>): boolean {
  try {
    const dir = `/proc/${pid}/fd`;
    return readdirSync(dir).some((fd) => inodes.has(linkOf(`${dir}/${fd}`)));
  } catch {
    return false;
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

/** "State:\tT (stopped)" */
function stateOf(pid: string): string {
  return /^State:\s+\S+ \((.*)\)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 'unknown';
}
