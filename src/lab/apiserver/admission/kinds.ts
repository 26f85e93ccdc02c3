import { ensure, meta, objects, sub, text } from '../json.ts';
import { required, unsupported, wrong } from '../status.ts';
import type { Admission } from './admission.ts';
import { networkPolicies } from './network-policies.ts';
import { podSpecDefaults, podSpecFaults, pods } from './pods.ts';

const namespaces: Admission = {
  create(namespace) {
    const metadata = ensure(namespace, 'metadata');
    ensure(metadata, 'labels')['kubernetes.io/metadata.name'] = text(metadata.name);
    namespace.spec = { finalizers: ['kubernetes'] };
    namespace.status = { phase: 'Active' };
  },
  update(namespace, old) {
    const metadata = ensure(namespace, 'metadata');
    ensure(metadata, 'labels')['kubernetes.io/metadata.name'] = text(metadata.name);
    namespace.spec = sub(old, 'spec');
  },
};

const workload: Admission = {
  create(object) {
    const spec = ensure(object, 'spec');
    podSpecDefaults(ensure(ensure(spec, 'template'), 'spec'));
    spec.revisionHistoryLimit ??= 10;
    object.status = {};
  },
  update(object) {
    podSpecDefaults(ensure(ensure(ensure(object, 'spec'), 'template'), 'spec'));
  },
  validate: (object) =>
    podSpecFaults(sub(sub(sub(object, 'spec'), 'template'), 'spec'), 'spec.template.spec'),
};

const daemonSets: Admission = {
  ...workload,
  create(object, context) {
    workload.create?.(object, context);
    const strategy = ensure(ensure(object, 'spec'), 'updateStrategy');
    strategy.type ??= 'RollingUpdate';
    if (strategy.type === 'RollingUpdate') {
      const rolling = ensure(strategy, 'rollingUpdate');
      rolling.maxUnavailable ??= 1;
      rolling.maxSurge ??= 0;
    }
    object.status = {
      currentNumberScheduled: 0,
      numberMisscheduled: 0,
      desiredNumberScheduled: 0,
      numberReady: 0,
    };
  },
};

const deployments: Admission = {
  ...workload,
  create(object, context) {
    workload.create?.(object, context);
    const spec = ensure(object, 'spec');
    spec.replicas ??= 1;
    spec.progressDeadlineSeconds ??= 600;
    const strategy = ensure(spec, 'strategy');
    strategy.type ??= 'RollingUpdate';
    if (strategy.type === 'RollingUpdate') {
      const rolling = ensure(strategy, 'rollingUpdate');
      rolling.maxUnavailable ??= '25%';
      rolling.maxSurge ??= '25%';
    }
  },
};

const endpointSlices: Admission = {
  create(slice) {
    for (const port of objects(slice.ports)) {
      port.name ??= '';
      port.protocol ??= 'TCP';
    }
  },
  validate(slice) {
    const kinds = ['IPv4', 'IPv6', 'FQDN'];
    if (text(slice.addressType) === '') return [required('addressType')];
    return kinds.includes(text(slice.addressType))
      ? []
      : [unsupported('addressType', slice.addressType, kinds)];
  },
};

const secrets: Admission = {
  create(secret) {
    const data = ensure(secret, 'data');
    for (const [key, value] of Object.entries(sub(secret, 'stringData'))) {
      data[key] = Buffer.from(text(value)).toString('base64');
    }
    delete secret.stringData;
    if (Object.keys(data).length === 0) delete secret.data;
    secret.type ??= 'Opaque';
  },
};
secrets.update = (secret, _old, context) => secrets.create?.(secret, context);

const events: Admission = {
  validate(event) {
    const involved = text(sub(event, 'involvedObject').namespace);
    const own = text(meta(event).namespace);
    if (involved === own || (involved === '' && own === 'default')) return [];
    return [wrong('involvedObject.namespace', involved, 'does not match event.namespace')];
  },
};

/** Rules by storage name, of the kinds that need no state of their own. */
export const kinds: Readonly<Record<string, Admission>> = {
  namespaces,
  pods,
  secrets,
  events,
  'daemonsets.apps': daemonSets,
  'deployments.apps': deployments,
  'endpointslices.discovery.k8s.io': endpointSlices,
  'networkpolicies.networking.k8s.io': networkPolicies,
};
