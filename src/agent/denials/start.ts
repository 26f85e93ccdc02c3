import type { Clock } from '../../model/clock.ts';
import type { Problem } from '../../model/problem.ts';
import type { World } from '../../model/world.ts';
import { followLog } from '../../targets/linux/netlink/nflog/log.ts';
import type { NetlinkTransport } from '../../targets/linux/netlink/transport.ts';
import type { Routes } from '../http.ts';
import type { Log } from '../log.ts';
import type { Registry } from '../metrics/registry.ts';
import { Denials, isOf } from './denials.ts';
import { denialMetrics, logDenial } from './report.ts';

export interface DenialsParts {
  readonly world: World;
  readonly clock: Clock;
  readonly netlink: NetlinkTransport;
  readonly log: Log;
  readonly registry: Registry;
  tell(problems: readonly Problem[]): void;
}

/** The reader of denied packets with all that it reports to. `update` is to be called whenever something may have changed. */
export function startDenials(parts: DenialsParts): { readonly routes: Routes; update(): void } {
  const metrics = denialMetrics(parts.registry);
  const denials = new Denials({
    world: parts.world,
    clock: parts.clock,
    open: (group, onPacket, onLost) => followLog(parts.netlink, group, onPacket, onLost),
    onDenial: (denial) => logDenial(parts.log, denial),
    onPacket: metrics.packet,
    onLost: metrics.lost,
    onProblems: parts.tell,
  });
  denials.update();
  return { routes: denialRoutes(denials), update: () => denials.update() };
}

export function denialRoutes(denials: Denials): Routes {
  const asked = (query: URLSearchParams): string | undefined => query.get('namespace') ?? undefined;
  return {
    'GET /v1/denials': ({ query }) => ({ json: denials.list(asked(query)) }),
    'GET /v1/denials/watch': ({ query }) => ({
      stream: (write) =>
        denials.onChange((denial) => {
          if (isOf(denial, asked(query))) write(denial);
        }),
    }),
  };
}
