/** containerd on a node of a lab, with what a kubelet asks of it. It lives in the lab's process namespace and ends with it. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, type Lab } from '../../src/lab/client.ts';
import { Cri, type Message, values } from './cri.ts';

/** The lab's folder as its nodes see it. */
const INSIDE = '/run/lab/containerd';
export const PAUSE = 'lab.test/pause:1';
/** `native` works on every file system; `opt` would make a folder on the machine; cgroups only hold processes together here. */
const CONFIG = `
version = 2
root = "${INSIDE}/root"
state = "${INSIDE}/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
address = "${INSIDE}/cri.sock"
[ttrpc]
address = "${INSIDE}/ttrpc.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "${PAUSE}"
restrict_oom_score_adj = true
disable_apparmor = true
disable_cgroup = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
[plugins."io.containerd.grpc.v1.cri".cni]
conf_dir = "/run/cni/net.d"
bin_dir = "/run/lab/cni-bin"
`;
/** NamespaceMode of the CRI. */
const [POD, CONTAINER, NODE] = [0, 1, 2];
/** ContainerState of the CRI. */
const EXITED = '2';
/** A cgroup of its own as the root of what containerd sees, and containerd in a leaf of it: cgroups with children hold no processes. */
const START = `
set -e
mount -n -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir "/sys/fs/cgroup/$1"
echo 0 >"/sys/fs/cgroup/$1/cgroup.procs"
exec unshare --cgroup sh -ec 'umount -n /sys/fs/cgroup; mount -n -t cgroup2 cgroup2 /sys/fs/cgroup; mkdir /sys/fs/cgroup/runtime
  echo 0 >/sys/fs/cgroup/runtime/cgroup.procs; exec containerd --config ${INSIDE}/config.toml'
`;
/** Cgroups outlive their processes: removes those of labs whose first process, by which they are named, is gone. Prints the others. */
const SWEEP = `
mount -n -t cgroup2 cgroup2 /sys/fs/cgroup || exit
for group in /sys/fs/cgroup/fairlead-interop-*; do
  test -e "/proc/\${group##*-}" || test ! -e "$group" || find "$group" -depth -type d -exec rmdir {} + >&2
done
ls /sys/fs/cgroup | grep ^fairlead-interop- || true
`;

/** Why containerd cannot run here; `undefined` when it can. */
export function cannotRun(): string | undefined {
  const { status, stderr } = sweep();
  return status === 0 ? undefined : `containerd cannot run without root and cgroups: ${stderr.trim()}`;
}

export const sweep = () => spawnSync('unshare', ['-m', 'sh', '-c', SWEEP], { encoding: 'utf8' });

/** Name of the cgroup of a lab's containerd. */
export const groupOf = (lab: Lab): string => `fairlead-interop-${lab.record.init.pid}`;

/** Command lines of its processes: containerd, shims and containers, whatever namespaces they are in. */
export const membersOf = (group: string): readonly string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && textOf(`/proc/${name}/cgroup`).includes(`/${group}/`))
    .map((pid) => textOf(`/proc/${pid}/cmdline`).replaceAll('\0', ' '));

/** Empty when the process is gone. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

export interface Pod {
  readonly name: string;
  readonly uid: string;
  readonly hostNetwork?: boolean;
}

export interface Sandbox {
  readonly id: string;
  readonly ips: readonly string[];
  readonly config: Message;
}

export class Containerd {
  readonly #lab: Lab;
  readonly #node: string;
  readonly #cri: Cri;
  #containers = 0;

  private constructor(lab: Lab, node: string, cri: Cri) {
    this.#lab = lab;
    this.#node = node;
    this.#cri = cri;
  }

  static async start(lab: Lab, node: string): Promise<Containerd> {
    const dir = join(lab.dir, 'containerd');
    mkdirSync(dir);
    writeFileSync(join(dir, 'config.toml'), CONFIG);
    let words: string | undefined;
    const ended = lab.exec(node, 'unshare', '--mount', 'sh', '-c', START, 'sh', groupOf(lab));
    void ended.then(({ stderr }) => (words = stderr));
    return eventually(async () => {
      const cri = new Cri(join(dir, 'cri.sock'));
      try {
        await cri.call('RuntimeService/Status');
        return new Containerd(lab, node, cri);
      } catch (error) {
        cri.close();
        throw words === undefined ? error : new Error(`containerd ended: ${words}`);
      }
    });
  }

  /** Loads an OCI archive, by its path inside the lab, as an operator does; resolves when pods can be made of `name`. */
  async import(archive: string, name: string): Promise<void> {
    const ctr = ['ctr', '--address', `${INSIDE}/cri.sock`, '--namespace', 'k8s.io', 'images', 'import'];
    await this.#lab.run(this.#node, ...ctr, '--snapshotter', 'native', archive);
    await eventually(async () => {
      const answer = await this.#cri.call('ImageService/ImageStatus', { 1: { 1: name } });
      if (values(answer, 1, 1).length === 0) throw new Error(`containerd has no image ${name}`);
    });
  }

  /** Rejects with the words of the plugin that failed. */
  async run(pod: Pod): Promise<Sandbox> {
    const metadata = { 1: pod.name, 2: pod.uid, 3: 'default' };
    const namespaces = { 1: pod.hostNetwork ? NODE : POD, 2: CONTAINER };
    const config = { 1: metadata, 3: `${INSIDE}/logs`, 8: { 2: { 1: namespaces } } };
    const [id = ''] = values(await this.#cri.call('RuntimeService/RunPodSandbox', { 1: config }), 1);
    const status = await this.#cri.call('RuntimeService/PodSandboxStatus', { 1: id });
    return { id, ips: [...values(status, 1, 5, 1), ...values(status, 1, 5, 2, 1)], config };
  }

  async remove({ id }: Sandbox): Promise<void> {
    await this.#cri.call('RuntimeService/StopPodSandbox', { 1: id });
    await this.#cri.call('RuntimeService/RemovePodSandbox', { 1: id });
  }

  /** Starts a container. `more`: fields of ContainerConfig. */
  async container(sandbox: Sandbox, image: string, more: Message): Promise<{ id: string; log: string }> {
    const name = `c${++this.#containers}`;
    const config = { 1: { 1: name }, 2: { 1: image }, 11: `${name}.log`, ...more };
    const request = { 1: sandbox.id, 2: config, 3: sandbox.config };
    const [id = ''] = values(await this.#cri.call('RuntimeService/CreateContainer', request), 1);
    await this.#cri.call('RuntimeService/StartContainer', { 1: id });
    return { id, log: join(this.#lab.dir, 'containerd/logs', `${name}.log`) };
  }

  /** Runs a container to its end and returns what it printed. */
  async output(sandbox: Sandbox, image: string, more: Message): Promise<string> {
    const { id, log } = await this.container(sandbox, image, more);
    await eventually(async () => {
      const [state] = values(await this.#cri.call('RuntimeService/ContainerStatus', { 1: id }), 1, 3);
      if (state !== EXITED) throw new Error(`container ${id} is in state ${state}`);
    }, 20_000);
    // "2026-01-01T00:00:00.000000000Z stdout F text"
    return readFileSync(log, 'utf8').replaceAll(/^\S+ \S+ \S+ /gm, '');
  }

  close(): void {
    this.#cri.close();
  }
}
