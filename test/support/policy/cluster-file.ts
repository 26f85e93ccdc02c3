/** Reads `cluster.json`: what is there as a case begins. */
import { CaseError, type Field } from './field.ts';
import type { CaseNode, CasePod, ClusterFile, ServedPort } from './state.ts';
import { familyOfText } from './templates.ts';

export function clusterFile(file: Field): ClusterFile {
  const cluster: ClusterFile = {
    nodes: file.at('nodes').items().map(node),
    namespaces: Object.fromEntries(
      file
        .at('namespaces')
        .entries()
        .map(([name, labels]) => [name, labels.textsByName()]),
    ),
    ports: file.at('ports').items().map(servedPort),
    pods: file.at('pods').items().map(podOf),
    covers: Object.fromEntries(
      file
        .at('covers')
        .entries()
        .map(([template, pods]) => [template, pods.texts()]),
    ),
  };
  if (new Set(cluster.pods.map(({ ip }) => familyOfText(ip))).size > 1)
    throw new CaseError('pods: their addresses must be of one family');
  return cluster;
}

/** A pod of the file, or the body of `create-pod`. */
export function podOf(pod: Field): CasePod {
  const ports = pod.at('ports');
  return {
    namespace: pod.at('namespace').name(),
    name: pod.at('name').name(),
    labels: pod.at('labels').textsByName(),
    // A proposal: without one it is the first.
    node: pod.at('node').absent ? '' : pod.at('node').text(),
    ip: pod.at('ip').name(),
    ...(pod.at('hostNetwork').value === true ? { hostNetwork: true } : {}),
    ...(ports.absent ? {} : { ports: ports.items().map(servedPort) }),
  };
}

const node = (field: Field): CaseNode => ({
  name: field.at('name').name(),
  labels: field.at('labels').textsByName(),
  addresses: field.at('addresses').texts(),
});

const servedPort = (field: Field): ServedPort => ({
  ...(field.at('name').absent ? {} : { name: field.at('name').name() }),
  protocol: field.at('protocol').oneOf('TCP', 'UDP', 'SCTP'),
  port: field.at('port').port(),
});
