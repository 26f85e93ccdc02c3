import { clone, ensure, type JsonObject, objects, parseObject, sub, text } from '../json.ts';
import type { Lifecycle } from '../lifecycle.ts';
import type { Resource } from '../resources.ts';
import { badRequest, StatusError } from '../status.ts';

/** Gives a pod its node, as a scheduler does through the `binding` subresource. */
export function bind(
  lifecycle: Lifecycle,
  pods: Resource,
  namespace: string,
  name: string,
  binding: JsonObject,
): JsonObject {
  const node = text(sub(binding, 'target').name);
  if (node === '') throw badRequest('target.name: Required value');
  const entry = lifecycle.find(pods, namespace, name);
  const pod = clone(parseObject(entry.json));
  const spec = ensure(pod, 'spec');
  if (text(spec.nodeName) !== '') {
    throw new StatusError(
      409,
      'Conflict',
      `Operation cannot be fulfilled on pods/binding "${name}": pod ${name} is already assigned to node "${text(spec.nodeName)}"`,
      { name, kind: 'pods/binding' },
    );
  }
  spec.nodeName = node;
  const status = ensure(pod, 'status');
  const others = objects(status.conditions).filter((condition) => condition.type !== 'PodScheduled');
  status.conditions = [
    ...others,
    { type: 'PodScheduled', status: 'True', lastProbeTime: null, lastTransitionTime: lifecycle.now() },
  ];
  lifecycle.store.put(pods, pod);
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 };
}

/** Everything is allowed: the lab has no authorizer, faults play one. */
export function accessReview(body: JsonObject): JsonObject {
  return { ...body, metadata: sub(body, 'metadata'), status: { allowed: true } };
}
