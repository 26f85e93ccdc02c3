import * as v from 'valibot';
import { FACTS_ANNOTATION, type NodeFacts } from '../../model/cluster/node.ts';
import { describe } from '../../model/errors.ts';
import { splitPrefix } from '../../model/net/cidr.ts';
import { mac } from '../../model/net/mac.ts';

/** Carriers of transports and settings that we do not know are kept: whoever plans ignores them. */
const carriers = v.pipe(
  v.array(v.pipe(v.string(), v.maxLength(128))),
  v.maxLength(64),
  v.transform((names): readonly string[] => Object.freeze(names)),
);

const underlay = v.pipe(
  v.array(
    v.pipe(
      v.string(),
      v.rawTransform(({ dataset, addIssue, NEVER }) => {
        try {
          const { address, length } = splitPrefix(dataset.value);
          return `${address}/${length}`;
        } catch (error) {
          addIssue({ message: describe(error) });
          return NEVER;
        }
      }),
    ),
  ),
  v.maxLength(64),
);

const whole = (least: number, most: number) =>
  v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most));

const factsSchema = v.object({
  version: v.literal(1),
  accepts: carriers,
  uses: carriers,
  leaves: v.optional(carriers),
  underlay,
  // RFC 791 section 3.2: every link carries 68 bytes; 65,536 is the loopback's.
  mtu: whole(68, 65_536),
  vxlan: v.optional(
    v.object({
      mac: v.pipe(
        v.string(),
        v.regex(/^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$/, 'not a MAC address'),
        v.transform(mac),
      ),
      // RFC 7348 section 5: the VNI has 24 bits.
      vni: whole(0, 0xff_ff_ff),
      port: whole(1, 65_535),
    }),
  ),
});

/** What was read, or why it cannot be used. */
export type FactsResult = { readonly facts: NodeFacts } | { readonly problem: string };

/** Reads the annotation in which a node's agent speaks of its own node. Fields that we do not know are ignored. */
export function parseFacts(value: string): FactsResult {
  let parsed: unknown;
  try {
    parsed = JSON.parse(value);
  } catch {
    return { problem: `metadata.annotations["${FACTS_ANNOTATION}"] is not JSON` };
  }
  const result = v.safeParse(factsSchema, parsed);
  if (!result.success) {
    const [issue] = result.issues;
    const path = v.getDotPath(issue);
    return {
      problem: `metadata.annotations["${FACTS_ANNOTATION}"]${path ? ` ${path}` : ''}: ${issue.message}`,
    };
  }
  const { vxlan, leaves, ...rest } = result.output;
  return {
    facts: Object.freeze({
      ...rest,
      underlay: Object.freeze(rest.underlay),
      ...(leaves && { leaves }),
      ...(vxlan && { vxlan: Object.freeze(vxlan) }),
    }),
  };
}
