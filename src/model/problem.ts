/** Something that cannot be done as asked. Shown in status and log, and as a Kubernetes Event when an operator must act. */
export interface Problem {
  /** The object at fault: `Node n3`, `setting transport`. */
  readonly object: string;
  readonly message: string;
  /** What to do. */
  readonly hint?: string;
  /** Of what every node finds wrong with an object of the cluster: the message in the same words on all of them, so that they tell one Event about it. */
  readonly everywhere?: string;
}
