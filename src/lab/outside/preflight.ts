import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { FairleadError } from '../../model/errors.ts';

/** How the lab gets its namespaces on this machine. */
export interface Means {
  /** False as root: no user namespace is needed. */
  readonly userNamespace: boolean;
}

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
  const probe = spawnSync('unshare', [...unshareFlags({ userNamespace }), 'true'], { encoding: 'utf8' });
  if (probe.status !== 0) throw refused(probe.stderr.trim());
  return { userNamespace };
}

export function unshareFlags({ userNamespace }: Means): string[] {
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
