import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { FairleadError } from '../../model/errors.ts';

/** How the lab gets its namespaces on this machine. */
export interface Means {
  /** False as root: no user namespace is needed. */
  readonly userNamespace: boolean;
  /** What this kernel lacks, and which labs still work: one sentence each. */
  readonly lacks: readonly string[];
}

/** Asked of the kernel in namespaces of its own; each missing thing is one printed word. */
const ASK = `
ip link add fl-a type veth peer name fl-b 2>/dev/null || echo veth
ip link add fl-c type bridge 2>/dev/null || echo bridge
ip link add fl-d type vxlan id 1 dstport 8472 2>/dev/null || echo vxlan
test -e /proc/sys/net/ipv6 || echo ipv6
mount -n -t proc proc /proc 2>/dev/null
test -e /proc/sys/net/bridge || echo br_netfilter
true
`;

const LACKS: Readonly<Record<string, string>> = {
  vxlan: 'this kernel has no vxlan: only layer2 works, on one wire (--transport layer2 --segments 1)',
  ipv6: 'this kernel has no IPv6: only --family ipv4 works',
  br_netfilter:
    'this kernel has no br_netfilter (modprobe br_netfilter): rules do not see packets between pods of one node',
};

/** Switches that forbid user namespaces to ordinary users, and the value that does. */
const SWITCHES: readonly (readonly [string, string, string])[] = [
  ['kernel.unprivileged_userns_clone', '0', '1'],
  ['user.max_user_namespaces', '0', '10000'],
  ['kernel.apparmor_restrict_unprivileged_userns', '1', '0'],
];

/** Throws `no-namespaces` with the switch and what to type, or `no-tool` with what is missing. */
export function preflight(): Means {
  const userNamespace = process.getuid?.() !== 0;
  const tools = ['unshare', 'nsenter', 'ip', 'nft'].filter((tool) => !found(tool));
  if (tools.length > 0) {
    throw new FairleadError('no-tool', `missing on this machine: ${tools.join(', ')}`, {
      hint: 'sudo apt-get install -y iproute2 nftables util-linux containernetworking-plugins',
    });
  }
  if (!cniDir()) {
    throw new FairleadError('no-tool', 'the CNI plugins are missing (/opt/cni/bin or /usr/lib/cni)', {
      hint: 'sudo apt-get install -y containernetworking-plugins',
    });
  }
  const ask = spawnSync('unshare', [...unshareFlags({ userNamespace }), 'sh', '-c', ASK], {
    encoding: 'utf8',
  });
  if (ask.status !== 0) throw refused(ask.stderr.trim());
  const missing = ask.stdout.split('\n').filter(Boolean);
  const vital = missing.filter((word) => word === 'veth' || word === 'bridge');
  if (vital.length > 0) {
    throw new FairleadError(
      'no-kernel',
      `this kernel has no ${vital.join(' and no ')}: no lab can be built`,
      {
        hint: `as root: modprobe ${vital.join('; modprobe ')}`,
      },
    );
  }
  return { userNamespace, lacks: missing.flatMap((word) => LACKS[word] ?? []) };
}

export function unshareFlags({ userNamespace }: Pick<Means, 'userNamespace'>): string[] {
  return [
    ...(userNamespace ? ['--user', '--map-root-user'] : []),
    '--net',
    '--mount',
    '--pid',
    '--fork',
    '--kill-child',
  ];
}

/** Folder of the CNI plugins. */
export function cniDir(): string | undefined {
  return ['/opt/cni/bin', '/usr/lib/cni'].find((dir) => existsSync(`${dir}/bridge`));
}

function refused(words: string): FairleadError {
  for (const [name, off, on] of SWITCHES) {
    if (setting(name) === off) {
      return new FairleadError('no-namespaces', `${name}=${off} forbids user namespaces here`, {
        hint: `type: sudo sysctl -w ${name}=${on}   or start the lab as root: sudo npm run lab`,
      });
    }
  }
  return new FairleadError('no-namespaces', `this machine refuses new namespaces: ${words}`, {
    hint: 'start the lab as root: sudo npm run lab',
  });
}

function setting(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, 'utf8').trim();
  } catch {
    return undefined;
  }
}

function found(tool: string): boolean {
  const dirs = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin', '/usr/bin'];
  return dirs.some((dir) => existsSync(`${dir}/${tool}`));
}
