import { clone, ensure, equal, type Json, type JsonObject, list, meta, objects, sub, text } from '../json.ts';
import { type Cause, notAllowed, required, unsupported, wrong } from '../status.ts';
import type { Admission } from './admission.ts';
import { dnsLabelFault } from './metadata.ts';

const specDefaults: JsonObject = {
  restartPolicy: 'Always',
  terminationGracePeriodSeconds: 30,
  dnsPolicy: 'ClusterFirst',
  serviceAccountName: 'default',
  serviceAccount: 'default',
  securityContext: {},
  schedulerName: 'default-scheduler',
  priority: 0,
  enableServiceLinks: true,
  preemptionPolicy: 'PreemptLowerPriority',
};

function containerDefaults(container: JsonObject): void {
  container.resources ??= {};
  container.terminationMessagePath ??= '/dev/termination-log';
  container.terminationMessagePolicy ??= 'File';
  const tag = text(container.image).split('/').at(-1)?.split(':')[1];
  container.imagePullPolicy ??= tag === undefined || tag === 'latest' ? 'Always' : 'IfNotPresent';
  for (const port of objects(container.ports)) port.protocol ??= 'TCP';
}

/** The defaults of a pod's spec; also those of a workload's pod template. */
export function podSpecDefaults(spec: JsonObject): void {
  for (const [key, value] of Object.entries(specDefaults)) spec[key] ??= clone(value);
  for (const container of [...objects(spec.containers), ...objects(spec.initContainers)]) {
    containerDefaults(container);
    if (spec.hostNetwork === true)
      for (const port of objects(container.ports)) port.hostPort ??= port.containerPort ?? 0;
  }
  for (const volume of objects(spec.volumes)) {
    if (Object.keys(volume).length === 1) volume.emptyDir = {};
    for (const kind of ['configMap', 'secret', 'projected', 'downwardAPI']) {
      if (volume[kind] !== undefined) ensure(volume, kind).defaultMode ??= 420;
    }
    if (volume.hostPath !== undefined) ensure(volume, 'hostPath').type ??= '';
  }
}

/** Admission adds these two, so that a pod outlives a short absence of its node. */
function defaultTolerations(spec: JsonObject): void {
  const tolerations = [...list(spec.tolerations)];
  for (const key of ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']) {
    const found = objects(tolerations).some(
      (t) => (t.key === key || t.key === undefined) && (t.effect === 'NoExecute' || t.effect === undefined),
    );
    if (!found) tolerations.push({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 });
  }
  spec.tolerations = tolerations;
}

function containerFaults(containers: Json | undefined, field: string): Cause[] {
  const causes: Cause[] = [];
  objects(containers).forEach((container, i) => {
    const name = text(container.name);
    const where = `${field}[${i}]`;
    if (name === '') causes.push(required(`${where}.name`));
    else {
      const fault = dnsLabelFault(name);
      if (fault !== undefined) causes.push(wrong(`${where}.name`, name, fault));
    }
    if (text(container.image) === '') causes.push(required(`${where}.image`));
    objects(container.ports).forEach((port, p) => {
      if (!['TCP', 'UDP', 'SCTP'].includes(text(port.protocol))) {
        causes.push(unsupported(`${where}.ports[${p}].protocol`, port.protocol, ['SCTP', 'TCP', 'UDP']));
      }
      const number = Number(port.containerPort ?? 0);
      if (number < 1 || number > 65535) {
        causes.push(
          wrong(`${where}.ports[${p}].containerPort`, number, 'must be between 1 and 65535, inclusive'),
        );
      }
    });
  });
  return causes;
}

/** The rules of a pod's spec that tests and operators run into. */
export function podSpecFaults(spec: JsonObject, field: string): Cause[] {
  const causes: Cause[] = [];
  if (list(spec.containers).length === 0) causes.push(required(`${field}.containers`));
  causes.push(...containerFaults(spec.containers, `${field}.containers`));
  causes.push(...containerFaults(spec.initContainers, `${field}.initContainers`));
  const policies = ['Always', 'OnFailure', 'Never'];
  if (!policies.includes(text(spec.restartPolicy))) {
    causes.push(unsupported(`${field}.restartPolicy`, spec.restartPolicy, policies));
  }
  return causes;
}

const immutable =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

/** What of a pod's spec never changes. */
function fixedPart(pod: JsonObject): JsonObject {
  const {
    activeDeadlineSeconds: _a,
    tolerations: _t,
    terminationGracePeriodSeconds: _g,
    ...spec
  } = sub(pod, 'spec');
  const fixed = (containers: Json | undefined): Json[] =>
    objects(containers).map(({ image: _, ...rest }) => rest);
  return { ...spec, containers: fixed(spec.containers), initContainers: fixed(spec.initContainers) };
}

export const pods: Admission = {
  create(pod) {
    const spec = ensure(pod, 'spec');
    podSpecDefaults(spec);
    defaultTolerations(spec);
    const limited = objects(spec.containers).some((c) => Object.keys(sub(c, 'resources')).length > 0);
    pod.status = { phase: 'Pending', qosClass: limited ? 'Burstable' : 'BestEffort' };
  },
  update(pod) {
    podSpecDefaults(ensure(pod, 'spec'));
  },
  validate(pod, old) {
    const causes = podSpecFaults(sub(pod, 'spec'), 'spec');
    if (old && meta(old).uid === meta(pod).uid && !equal(fixedPart(pod), fixedPart(old))) {
      causes.push(notAllowed('spec', immutable));
    }
    return causes;
  },
};
