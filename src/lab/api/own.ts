import { FairleadError } from '../../model/errors.ts';
import { familyOf } from '../../model/net/ip.ts';
import type { Fault } from '../apiserver/faults.ts';
import { type ApiServer, startApiServer } from '../apiserver/server.ts';
import type { ApiFault, ApiService } from './service.ts';

const TOKEN = 'lab-admin';

export interface OwnOptions {
  readonly socketPath: string;
  readonly clusterCidrs: readonly string[];
}

/** The lab's own API server, in the lab's first process. */
export async function startLabApi({ socketPath, clusterCidrs }: OwnOptions): Promise<ApiService> {
  const server = await startApiServer({
    listen: { unix: socketPath },
    tls: true,
    token: TOKEN,
    podCidrs: clusterCidrs,
    serviceCidrs: clusterCidrs.map((cidr) => (familyOf(cidr) === 'ipv4' ? '10.96.0.0/16' : 'fd96::/108')),
  });
  const armed: Fault[] = [];
  return {
    access: { socketPath, tls: true, token: TOKEN },
    ca: server.ca ?? '',
    fault: async (fault) => {
      if (fault) armed.push(arm(server, fault));
      else await Promise.all(armed.splice(0).map((each) => each.lift()));
    },
    get faultsHit() {
      return server.faults.armed().reduce((sum, fault) => sum + fault.hits, 0);
    },
    compact: () => {
      server.faults.gone410();
    },
    believe: (everything) => {
      server.lifecycle.credulous = everything;
    },
    close: () => server.close(),
  };
}

function arm({ faults }: ApiServer, { status, ...match }: ApiFault): Fault {
  if (status === 401 || status === 403) return faults.denied(status, match);
  if (status === 429) return faults.busy(1, match);
  if (status === 500) return faults.error500(1, match);
  throw new FairleadError('lab-fault', `the lab's API server cannot answer ${status} on demand`, {
    hint: '401, 403, 429 or 500; for 410 use "api-compact"',
  });
}
