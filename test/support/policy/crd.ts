import { isStatus, type LabApi } from '../../../src/lab/api/client.ts';
import { eventually } from '../../../src/lab/client.ts';

const GROUP = 'policy.networking.k8s.io';
const NAME = `clusternetworkpolicies.${GROUP}`;
const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

/** ClusterNetworkPolicy v1alpha2 with a schema that takes anything: cases say what they mean, also with fields of the experimental channel. */
const DEFINITION = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  // The API server guards names of *.k8s.io groups with this annotation.
  metadata: { name: NAME, annotations: { 'api-approved.kubernetes.io': 'unapproved, a copy for tests' } },
  spec: {
    group: GROUP,
    scope: 'Cluster',
    names: {
      plural: 'clusternetworkpolicies',
      singular: 'clusternetworkpolicy',
      kind: 'ClusterNetworkPolicy',
      listKind: 'ClusterNetworkPolicyList',
      shortNames: ['cnp'],
    },
    versions: [
      {
        name: 'v1alpha2',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
              status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
            },
          },
        },
      },
    ],
  },
};

/** Makes the API server serve ClusterNetworkPolicies; waits until it does. */
export async function installClusterPolicyCrd(api: LabApi): Promise<void> {
  await api.create(DEFINITIONS, DEFINITION).catch((error: unknown) => {
    if (!isStatus(error, 409)) throw error;
  });
  await eventually(() => api.list(`/apis/${GROUP}/v1alpha2/clusternetworkpolicies`));
}
