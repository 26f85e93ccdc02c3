import { FairleadError } from '../../model/errors.ts';
import type { ApiService } from './service.ts';

export interface OwnOptions {
  readonly socketPath: string;
  readonly clusterCidrs: readonly string[];
}

/** The lab's own API server, in the lab's first process. */
export async function startLabApi(_options: OwnOptions): Promise<ApiService> {
  throw new FairleadError('lab-api', 'not built yet');
}
