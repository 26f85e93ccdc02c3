/** The agent's container of deploy/fairlead.yaml as a kubelet asks for it: fields of the CRI's ContainerConfig. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { Message } from './cri.ts';

interface Container {
  readonly args: readonly string[];
  readonly securityContext: {
    readonly readOnlyRootFilesystem: boolean;
    readonly allowPrivilegeEscalation: boolean;
    readonly capabilities: { readonly add: readonly string[]; readonly drop: readonly string[] };
  };
  readonly volumeMounts: readonly { name: string; mountPath: string; readOnly?: boolean }[];
}

interface PodSpec {
  readonly containers: readonly Container[];
  readonly volumes: readonly { readonly name: string; readonly hostPath?: { readonly path: string } }[];
}

interface Workload {
  readonly kind: string;
  readonly spec: { readonly template: { readonly spec: PodSpec } };
}

/** What a kubelet makes read-only in a container that is not privileged (Kubernetes, procMount: Default). */
const READ_ONLY = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** `places`: paths on the node instead of those of the manifest, by volume. */
export function agentContainer(
  node: string,
  moreArgs: readonly string[],
  places: Readonly<Record<string, string>>,
): Message {
  const text = readFileSync(join(import.meta.dirname, '../../deploy/fairlead.yaml'), 'utf8');
  const objects = parseAllDocuments(text).map((document) => document.toJS() as Workload);
  const { containers, volumes } = objects.find(({ kind }) => kind === 'DaemonSet')!.spec.template.spec;
  const { args, securityContext: context, volumeMounts } = containers[0]!;
  const place = (name: string) => places[name] ?? volumes.find((v) => v.name === name)!.hostPath!.path;
  return {
    4: [...args, ...moreArgs],
    6: [{ 1: 'NODE_NAME', 2: node }],
    7: volumeMounts.map((mount) => ({
      1: mount.mountPath,
      2: place(mount.name),
      3: mount.readOnly ?? false,
    })),
    15: {
      2: {
        1: { 1: context.capabilities.add, 2: context.capabilities.drop },
        // Namespaces: network NODE, pid CONTAINER.
        3: { 1: 2, 2: 1 },
        7: context.readOnlyRootFilesystem,
        11: !context.allowPrivilegeEscalation,
        14: READ_ONLY,
        // RuntimeDefault.
        15: {},
      },
    },
  };
}
