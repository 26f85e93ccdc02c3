/** A kernel setting under /proc/sys. The key is its path with slashes, `net/ipv4/conf/eth0.5/rp_filter`: link names may hold dots. */
export interface SysctlBody {
  readonly path: string;
  readonly value: string;
}

export const sysctlKey = (path: string): string => path;
