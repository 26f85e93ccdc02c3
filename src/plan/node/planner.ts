import type { Problem } from '../../model/problem.ts';
import { fileKey } from '../../model/rows/file.ts';
import { nftChainKey } from '../../model/rows/nft.ts';
import { conditionKey } from '../../model/rows/node-status.ts';
import type { Row, RowOf, RowRef } from '../../model/rows/row.ts';
import type { World } from '../../model/world.ts';
import { FROM_PODS_CHAIN } from '../egress/names.ts';
import { masquerades } from '../egress/planner.ts';
import { nodeIndex, noteNode } from '../nodes/node-index.ts';
import { touchesPodLinks } from '../nodes/pod-links.ts';
import { podPlugin } from '../nodes/pod-network.ts';
import { nothing, type Planner, type UnitPlan } from '../planner.ts';
import { factsRows } from '../transports/facts.ts';
import { podMtu } from '../transports/mtu.ts';
import { enabledTransports } from '../transports/registry.ts';
import { type Self, sameNode, selfOf, touchesUnderlay } from '../transports/underlay.ts';
import { bridgeNetfilterProblems, bridgeNetfilterRows } from './bridge-netfilter.ts';
import { conflist } from './conflist.ts';
import { forwardingRows } from './sysctls.ts';

/** `facts` = what we tell other nodes; `duties` = all else that this machine needs and says. */
type Unit = 'facts' | 'duties';

const UNITS: readonly Unit[] = ['facts', 'duties'];

/** What a node does for its pods besides routing, and what it tells of itself. See README.md. */
export const nodePlanner: Planner<Unit> = {
  name: 'node',
  reads: ['config', 'kernel', 'links', 'nodes', 'cni'],
  writes: ['sysctl', 'file', 'node-status'],
  units: () => UNITS,
  affected(change, world) {
    switch (change.source) {
      case 'nodes': {
        noteNode(change, world);
        const own = change.key === world.config.objects.get('config')?.nodeName;
        return own && !sameNode(change.before, change.after) ? UNITS : ['facts'];
      }
      case 'config':
      case 'kernel':
        return UNITS;
      case 'cni':
        return ['duties'];
      case 'links':
        if (touchesUnderlay(change, world)) return UNITS;
        return touchesPodLinks(change) ? ['duties'] : [];
      default:
        return [];
    }
  },
  plan(unit, world) {
    const self = selfOf(world);
    if (!self) return nothing;
    if (!self.config.router.enabled) return unit === 'duties' ? planBeside(self, world) : nothing;
    if (unit === 'facts') return { rows: factsRows(self, nodeIndex(world)) };
    return hasUnderlay(self) ? planDuties(self, world) : nothing;
  },
};

function hasUnderlay(self: Self): boolean {
  return self.underlay.ipv4 !== undefined || self.underlay.ipv6 !== undefined;
}

/** Beside another network: only what policies need. Neither facts nor condition, because it is not us who carry packets here. */
function planBeside(self: Self, world: World): UnitPlan {
  const problems = [...bridgeNetfilterProblems(self, world)];
  const { enabled, unknownPods } = self.config.policy;
  if (enabled && unknownPods === 'closed' && self.podCidrs.length === 0)
    problems.push({
      object: `Node ${self.name}`,
      message:
        'has no pod CIDR (spec.podCIDRs): addresses of pods that are not known yet cannot be told from others, and are open',
      hint: 'give Nodes pod CIDRs, or set policy.unknownPods to open where the network plugin takes addresses from elsewhere',
    });
  return { rows: bridgeNetfilterRows(self, world), problems };
}

function planDuties(self: Self, world: World): UnitPlan {
  if (self.podCidrs.length === 0) {
    const problem: Problem = {
      object: `Node ${self.name}`,
      message: 'has no pod CIDR (spec.podCIDRs), so this node cannot give its pods addresses',
      hint: 'run the controller-manager with --allocate-node-cidrs=true and a large enough --cluster-cidr',
    };
    return { rows: [], problems: [problem] };
  }
  const sysctls = [...forwardingRows(self), ...bridgeNetfilterRows(self, world)];
  const before = [...sysctls.map(ref), ...deviceRefs(self), ...masqueradeRefs(self)];
  const rows: Row[] = [...sysctls];
  const told = [...before];
  if (self.config.cni.write) {
    const file = conflistRow(self, before);
    rows.push(file);
    told.push(ref(file));
  }
  return { rows: [...rows, conditionRow(self, told)], problems: bridgeNetfilterProblems(self, world) };
}

/** Devices of the enabled transports only: those that wait to go must not hold up anything. */
function deviceRefs(self: Self): RowRef[] {
  return enabledTransports(self.config).flatMap((transport) =>
    transport.enabled(self).flatMap((carrier) => transport.device(carrier, self)?.ready ?? []),
  );
}

function masqueradeRefs(self: Self): RowRef[] {
  return masquerades(self) ? [{ target: 'nft', key: nftChainKey(FROM_PODS_CHAIN) }] : [];
}

/** A kubelet calls its node Ready half a second after this file appears: it waits for all that packets need. */
function conflistRow(self: Self, needs: readonly RowRef[]): RowOf<'file'> {
  const { network } = self;
  const { cni } = self.config;
  const path = `${cni.dir.replace(/\/+$/, '')}/${cni.file}`;
  const taken = network.from === undefined ? '' : `, bridge and network name taken over from ${network.from}`;
  return {
    target: 'file',
    key: fileKey(path),
    why: `pods of this node get addresses of ${self.podCidrs.join(' and ')} and MTU ${podMtu(self)}${taken}`,
    body: {
      path,
      content: conflist(self.config, {
        network,
        plugin: podPlugin(self.config, self.missing),
        podCidrs: self.podCidrs,
        mtu: podMtu(self),
      }),
      mode: 0o644,
    },
    needs,
  };
}

function conditionRow(self: Self, needs: readonly RowRef[]): RowOf<'node-status'> {
  return {
    target: 'node-status',
    key: conditionKey('NetworkUnavailable'),
    why: 'packets of pods can flow on this node',
    body: {
      node: self.name,
      item: {
        kind: 'condition',
        type: 'NetworkUnavailable',
        status: 'False',
        reason: 'FairleadIsReady',
        message: `fairlead carries ${self.podCidrs.join(' and ')}`,
      },
    },
    needs,
  };
}

const ref = ({ target, key }: Row): RowRef => ({ target, key });
