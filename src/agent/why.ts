import type { Why, WhyStep } from '../model/api.ts';
import { describe } from '../model/errors.ts';
import type { NextHop } from '../model/rows/route.ts';
import type { World } from '../model/world.ts';
import { explainPath } from '../plan/why/explain.ts';
import type { PathStep } from '../plan/why/path.ts';
import { parseTraffic } from '../plan/why/traffic.ts';
import type { KubeClient } from '../sources/kube/client.ts';
import { type KernelRoute, lookUpRoute } from '../targets/linux/netlink/rtnetlink/route.ts';
import type { NetlinkTransport } from '../targets/linux/netlink/transport.ts';
import { withPodsNamed } from './ask-pods.ts';
import { KernelRules } from './kernel-rules.ts';
import type { Loop } from './loop.ts';

/** `traffic` as `tcp/80`; without it policies have no verdict. */
export type Explain = (from: string, to: string, traffic?: string) => Promise<Why>;

type Lookup = NonNullable<PathStep['lookup']>;

export interface ExplainInput {
  readonly world: World;
  readonly client: Pick<KubeClient, 'list'>;
  readonly loop: Pick<Loop, 'row'>;
  readonly netlink: NetlinkTransport;
  readonly netfilter: NetlinkTransport;
}

/** The planned path with two more columns: whether each row is in place, and what the kernel itself would do. */
export function explainer({ world, client, loop, netlink, netfilter }: ExplainInput): Explain {
  return async (from, to, asked) => {
    const traffic = asked === undefined ? undefined : parseTraffic(asked);
    const known = await withPodsNamed(world, client, [from, to]);
    const path = explainPath(known.world, from, to, traffic);
    const rules = new KernelRules(netfilter, world);
    const steps: WhyStep[] = known.problem === undefined ? [] : [{ at: 'API server', text: known.problem }];
    for (const step of path.steps) steps.push(await check(step, rules));
    const broken = steps.some(
      (step) => step.kernel?.mismatch === true || (step.row !== undefined && step.row.state !== 'done'),
    );
    return { from: path.from, to: path.to, steps, reachable: broken ? 'no' : path.reachable };
  };

  async function check(step: PathStep, rules: KernelRules): Promise<WhyStep> {
    const { family, at, text, policy } = step;
    const row = step.row && { ...step.row, state: loop.row(step.row)?.state ?? ('pending' as const) };
    const kernel = step.rules ? await rules.ask(step.rules) : step.lookup && (await ask(step.lookup));
    return {
      ...(family && { family }),
      ...{ at, text },
      ...(row && { row }),
      ...(policy && { policy }),
      ...(kernel && { kernel }),
    };
  }

  async function ask({ to, through }: Lookup): Promise<NonNullable<WhyStep['kernel']>> {
    try {
      const route = await lookUpRoute(netlink, { to });
      return {
        text: routeText(route, world),
        mismatch: through !== undefined && !goesBy(through, route, world),
      };
    } catch (error) {
      // The kernel's own refusal (no route, prohibited) is an answer: the packet would not go.
      return { text: describe(error), mismatch: true };
    }
  }
}

/** As `ip route get` writes it. */
function routeText(route: KernelRoute, world: World): string {
  const [hop] = route.hops;
  const type = route.type === undefined || route.type === 'unicast' ? '' : `${route.type} `;
  const via = hop?.via === undefined ? '' : ` via ${hop.via}`;
  const source = route.source === undefined ? '' : ` src ${route.source}`;
  return `${type}${route.dst}${via} dev ${linkName(hop?.index, world)}${source}`;
}

function goesBy(planned: readonly NextHop[], route: KernelRoute, world: World): boolean {
  return planned.some(({ via, dev }) =>
    route.hops.some((hop) => hop.via === via && linkName(hop.index, world) === dev),
  );
}

function linkName(index: number | undefined, world: World): string {
  for (const link of world.links.objects.values()) if (link.index === index) return link.name;
  return index === undefined ? 'none' : `link ${index}`;
}
