/** What we say on our own Node object through the Kubernetes API. */
export interface NodeStatusBody {
  readonly node: string;
  readonly item:
    | { readonly kind: 'annotation'; readonly name: string; readonly value: string }
    | {
        readonly kind: 'condition';
        readonly type: 'NetworkUnavailable';
        readonly status: 'True' | 'False';
        readonly reason: string;
        readonly message: string;
      };
}

export const annotationKey = (name: string): string => `annotation ${name}`;
export const conditionKey = (type: string): string => `condition ${type}`;
