import type { Namespace } from '../../model/cluster/namespace.ts';
import { AUDIT_ANNOTATION } from '../../model/cluster/policy.ts';
import type { Kind } from './kind.ts';
import { record, text } from './raw.ts';
import { NAMESPACES } from './resource.ts';

/** Namespaces: name and labels. */
export const namespaces: Kind<'namespaces'> = {
  source: 'namespaces',
  resource: NAMESPACES,
  key: (raw) => text(record(raw.metadata).name),
  keyOf: (object) => object.name,
  project(raw, shared): Namespace {
    const meta = record(raw.metadata);
    return Object.freeze({
      name: text(meta.name),
      uid: text(meta.uid),
      labels: shared.labels(meta.labels),
      audit: record(meta.annotations)[AUDIT_ANNOTATION] === 'true',
    });
  },
};
