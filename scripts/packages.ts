/** Debian packages that the lab and the tests use. Installed when we may, else named in one line that a person can type. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** What shows that a package is there, by package name. */
const PROOF: Readonly<Record<string, readonly string[]>> = {
  iproute2: ['/usr/sbin/ip', '/sbin/ip', '/usr/bin/ip'],
  nftables: ['/usr/sbin/nft'],
  conntrack: ['/usr/sbin/conntrack'],
  'util-linux': ['/usr/bin/unshare'],
  'containernetworking-plugins': ['/usr/lib/cni/bridge', '/opt/cni/bin/bridge'],
  binutils: ['/usr/bin/strip'],
  gcc: ['/usr/bin/gcc'],
  'libc6-dev': ['/usr/include/stdio.h'],
  make: ['/usr/bin/make'],
  flex: ['/usr/bin/flex'],
  bison: ['/usr/bin/bison'],
  bc: ['/usr/bin/bc'],
  'xz-utils': ['/usr/bin/xz'],
  'linux-source-6.12': ['/usr/src/linux-source-6.12.tar.xz'],
  containerd: ['/usr/bin/containerd'],
  runc: ['/usr/sbin/runc', '/usr/bin/runc'],
  ipvsadm: ['/usr/sbin/ipvsadm', '/sbin/ipvsadm'],
};

export const LAB_PACKAGES = ['iproute2', 'nftables', 'util-linux', 'containernetworking-plugins'] as const;
export const TEST_PACKAGES = [...LAB_PACKAGES, 'conntrack'] as const;
/** What the tests of the vm tier use; its kernel needs more, and only while it is built (vm.ts). */
export const VM_PACKAGES = ['ipvsadm'] as const;
export const INTEROP_PACKAGES = ['containerd', 'runc'] as const;

/** Returns the packages that are still missing afterwards: empty = all there. Prints what it does. */
export function ensurePackages(names: readonly string[]): readonly string[] {
  const missing = absent(names);
  if (missing.length === 0) return [];
  const line = `apt-get install -y --no-install-recommends ${missing.join(' ')}`;
  if (process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    console.error(`fairlead: ${line}`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const apt = (...args: string[]) =>
      spawnSync('apt-get', args, { stdio: ['ignore', 'ignore', 'inherit'], env }).status === 0;
    const install = () => apt(...line.split(' ').slice(1));
    if (!install()) {
      apt('update');
      install();
    }
  }
  const still = absent(missing);
  if (still.length > 0) {
    console.error(
      `fairlead: these Debian packages are missing. Type:\n  sudo apt-get install -y --no-install-recommends ${still.join(' ')}`,
    );
  }
  return still;
}

function absent(names: readonly string[]): string[] {
  return names.filter((name) => !(PROOF[name] ?? []).some((path) => existsSync(path)));
}
