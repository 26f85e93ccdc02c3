/** Something that cannot be done as asked. Shown in status and log, and as a Kubernetes Event when an operator must act. */
export interface Problem {
  /** The object at fault: `Node n3`, `setting transport`. */
  readonly object: string;
  readonly message: string;
  /** What to do. */
  readonly hint?: string;
}
