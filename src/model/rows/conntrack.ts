import type { Ip } from '../net/ip.ts';

/**
 * What must not be, found and to be removed: a connection that policies deny now (`flow`), or a note that one was ended which they would let
 * through again (`ended`, see ended.ts). Nobody plans rows of this target. The observed state is the kernel's, so nothing is forgotten.
 */
export interface ConntrackBody {
  readonly what: 'flow' | 'ended';
  /** IP protocol number. */
  readonly protocol: number;
  /** Who opened it, and who serves it after its destination was translated. */
  readonly source: Ip;
  readonly destination: Ip;
  /** For people: why it has to go. */
  readonly why: string;
}
