export interface Namespace {
  readonly name: string;
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Annotation `fairlead.io/policy-audit: "true"`: all its NetworkPolicies only tell. */
  readonly audit: boolean;
}
