import type { TransportName } from '../../model/cluster/config.ts';
import { cidrList, type Kind, linkName, nameList, oneOf, path, text, wholeNumber, yesNo } from './kinds.ts';

/**
 * The one table of everything that can be set. Flags, environment variables, the configuration file, `--help`, the annotated
 * sample and the checks all come from here: a new setting is one entry, and one line in `resolve.ts` that says where it goes.
 */
export interface Setting<T> {
  readonly kind: Kind<T>;
  readonly fallback: T;
  /** Without the leading `--`. */
  readonly flag: string;
  /** Tried in order after `FAIRLEAD_…`, which is made from the flag. */
  readonly env?: readonly string[];
  /** Whether the configuration file may set it: what belongs to one machine or one start may not be in a file that all share. */
  readonly inFile: boolean;
  /** Whether a change of the file takes effect without a restart. */
  readonly live: boolean;
  readonly doc: string;
}

type Optional<T> = Omit<Setting<T>, 'fallback'> & { readonly fallback: T | undefined };

function shared<T>(flag: string, kind: Kind<T>, fallback: T, doc: string): Setting<T> {
  return { flag, kind, fallback, doc, inFile: true, live: true };
}

function sharedOptional<T>(flag: string, kind: Kind<T>, doc: string): Optional<T> {
  return { flag, kind, fallback: undefined, doc, inFile: true, live: true };
}

function atStart<T>(flag: string, kind: Kind<T>, fallback: T, doc: string): Setting<T> {
  return { flag, kind, fallback, doc, inFile: true, live: false };
}

function ofMachine<T, F extends T | undefined>(
  flag: string,
  kind: Kind<T>,
  fallback: F,
  doc: string,
  env: readonly string[] = [],
): Omit<Setting<T>, 'fallback'> & { readonly fallback: F } {
  return { flag, kind, fallback, doc, env, inFile: false, live: false };
}

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
const TRANSPORTS: readonly (TransportName | 'auto')[] = [
  'auto',
  'layer2',
  'vxlan',
  'gre',
  'ipip',
  'fou',
  'wireguard',
  'ipsec',
  'bgp',
  'cloud',
];
/** RFC 1123 subdomain, as Kubernetes names its Nodes. */
const NODE_NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

/** Keys are the paths in the configuration file. */
export const SETTINGS = {
  node: ofMachine(
    'node',
    text(NODE_NAME, 'the name of a Kubernetes Node (lower case letters, digits, "-" and ".")', 'NAME'),
    undefined,
    'Name of the Node that this agent works for. Without it: NODE_NAME, then the host name.',
    ['NODE_NAME'],
  ),
  kubeconfig: ofMachine(
    'kubeconfig',
    path('the absolute path of a kubeconfig file'),
    undefined,
    'Credentials for the API server. Without it: KUBECONFIG, then the in-cluster service account.',
    ['KUBECONFIG'],
  ),
  config: ofMachine(
    'config',
    path('the absolute path of a YAML file, or of a folder that holds a config.yaml'),
    undefined,
    'Configuration file, or the folder where a ConfigMap is mounted. It is read again whenever it changes.',
  ),
  stateDir: ofMachine(
    'state-dir',
    path(),
    '/run/fairlead',
    'Folder of the agent: its API socket (agent.sock), the journal of changed sysctls, addresses of newborn pods.',
  ),
  procSys: ofMachine(
    'proc-sys',
    path(),
    '/proc/sys',
    'Where the sysctls of this machine are writable. In a container that is not privileged /proc/sys is not.',
  ),
  'log.level': shared('log-level', oneOf(LOG_LEVELS), 'info', 'Least severe log line that is written.'),
  'health.port': atStart(
    'health-port',
    wholeNumber(0, 65535),
    20244,
    'TCP port of /metrics, /healthz and /readyz; 0 switches it off. The API socket serves them too.',
  ),
  'health.address': atStart(
    'health-address',
    text(/^[0-9a-fA-F:.]+$/, 'an IP address of this machine, 0.0.0.0 or ::', 'ADDRESS'),
    '127.0.0.1',
    'Address that this port is opened on.',
  ),
  'router.enabled': shared(
    'run-router',
    yesNo(),
    true,
    "Connect pods: routes, tunnels, CNI configuration, masquerading. Without it another network plugin does that, and Fairlead only enforces policies beside it; it then says nothing about the Node's network either.",
  ),
  transport: shared(
    'transport',
    // Known and not built is refused by other words than unknown (`resolve.ts`).
    { ...oneOf(TRANSPORTS), allowed: 'auto, layer2 or vxlan' },
    'auto',
    'How packets get to the pods of another node. auto decides per pair of nodes: layer2 where both are on one link, else vxlan.',
  ),
  underlayLink: sharedOptional(
    'underlay-link',
    linkName(),
    'Link that carries the traffic between nodes. Without it: the link that has the InternalIP of the Node.',
  ),
  underlayFamily: shared(
    'underlay-family',
    oneOf(['ipv4', 'ipv6']),
    'ipv4',
    'Address family that tunnels use where both nodes have both.',
  ),
  'vxlan.vni': shared(
    'vxlan-vni',
    wholeNumber(1, 16777215),
    1,
    'VXLAN network identifier. The same on all nodes.',
  ),
  'vxlan.port': shared(
    'vxlan-port',
    wholeNumber(1, 65535),
    8472,
    'UDP port of VXLAN. The same on all nodes.',
  ),
  podMtu: sharedOptional(
    'pod-mtu',
    wholeNumber(1280, 65535, 'bytes (1280 is the least that IPv6 works with)'),
    'MTU of the pods. Without it: the largest that every transport in use carries.',
  ),
  'cni.write': shared(
    'cni-write',
    yesNo(),
    true,
    'Write the CNI network configuration, once packets can flow.',
  ),
  'cni.dir': atStart(
    'cni-conf-dir',
    path(),
    '/etc/cni/net.d',
    'Folder where the container runtime looks for it.',
  ),
  'cni.file': atStart(
    'cni-conf-file',
    text(/^[A-Za-z0-9][\w.-]*\.conflist$/, 'a file name that ends in .conflist', 'NAME'),
    '05-fairlead.conflist',
    'Name of the file there. The runtime takes the first in order of names.',
  ),
  'cni.plugin': shared(
    'cni-plugin',
    oneOf(['bridge', 'ptp']),
    'bridge',
    'How pods are attached: to one bridge, or each by its own point-to-point link.',
  ),
  'cni.bridge': shared('cni-bridge', linkName(), 'fairlead0', 'Name of the bridge.'),
  'cni.hairpin': shared('cni-hairpin', yesNo(), true, 'Let a pod reach itself through a Service.'),
  'cni.portmap': shared('cni-portmap', yesNo(), true, 'Support hostPort, through the portmap plugin.'),
  'masquerade.enabled': shared(
    'masquerade',
    yesNo(),
    true,
    'Give packets from pods to places outside the cluster the address of the node.',
  ),
  'masquerade.exclude': shared(
    'masquerade-exclude',
    cidrList(),
    [],
    'Further destinations towards which pods keep their own address. Pods and nodes of the cluster always see it.',
  ),
  clampMss: shared(
    'clamp-mss',
    yesNo(),
    true,
    'Lower the TCP segment size where a path is narrower than the MTU of the pods.',
  ),
  'policy.enabled': shared(
    'run-firewall',
    yesNo(),
    true,
    'Enforce NetworkPolicy and ClusterNetworkPolicy. Without it every pod is open.',
  ),
  'policy.unknownPods': shared(
    'policy-unknown-pods',
    oneOf(['closed', 'open']),
    'closed',
    'Packets of addresses in the pod CIDRs of this node that belong to no pod it knows.',
  ),
  'policy.defaultDeny': shared(
    'policy-default-deny',
    oneOf(['none', 'ingress', 'egress', 'both']),
    'none',
    'Close the pods of namespaces that have no NetworkPolicy, in these directions.',
  ),
  'policy.defaultDenyExcept': shared(
    'policy-default-deny-except',
    nameList(),
    ['kube-system'],
    'Namespaces that policy.defaultDeny spares.',
  ),
  'policy.denied': shared(
    'policy-denied',
    oneOf(['drop', 'reject']),
    'drop',
    'What a packet gets that no NetworkPolicy allows: silence or a refusal. ClusterNetworkPolicy always drops.',
  ),
  'policy.established': shared(
    'policy-established',
    oneOf(['recheck', 'keep']),
    'recheck',
    'Connections that a change of policies denies: end them at once, or keep them until they end.',
  ),
  'policy.logGroup': shared(
    'policy-log-group',
    wholeNumber(0, 65535),
    100,
    'Netlink log group of denied packets.',
  ),
  'policy.logRate': shared(
    'policy-log-rate',
    wholeNumber(0, 100000, 'packets a second'),
    10,
    'How many denied packets are told at most. 0: none.',
  ),
} as const;

export type SettingName = keyof typeof SETTINGS;
export const SETTING_NAMES = Object.keys(SETTINGS) as readonly SettingName[];

/** A setting whose value type does not matter to the reader of the table. */
export type AnySetting = Omit<Setting<unknown>, 'kind'> & { readonly kind: Kind<unknown> };
export const settingOf = (name: SettingName): AnySetting => SETTINGS[name];

export type Values = { -readonly [N in SettingName]: ValueOf<(typeof SETTINGS)[N]> };
type ValueOf<S> = S extends { kind: Kind<infer T>; fallback: infer F }
  ? F extends undefined
    ? T | undefined
    : T
  : never;

/** Environment variables that set it, in order of precedence. */
export function envNames(setting: AnySetting): readonly string[] {
  return [`FAIRLEAD_${setting.flag.replaceAll('-', '_').toUpperCase()}`, ...(setting.env ?? [])];
}
