import type { Namespace } from '../../model/cluster/namespace.ts';
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
    });
  },
};
