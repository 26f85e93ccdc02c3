import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { isStatus, type LabApi } from '../../../src/lab/api/client.ts';
import { eventually } from '../../../src/lab/client.ts';

const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const FILE = new URL('../clusternetworkpolicies.yaml', import.meta.url);

export const CLUSTER_POLICIES = '/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies';

/** Makes the API server serve ClusterNetworkPolicies; waits until it does. */
export async function installClusterPolicyCrd(api: LabApi): Promise<void> {
  await api.create(DEFINITIONS, parse(readFileSync(FILE, 'utf8'))).catch((error: unknown) => {
    if (!isStatus(error, 409)) throw error;
  });
  await eventually(() => api.list(CLUSTER_POLICIES));
}
