/** What a case of the API server suite is, and what cases write. */
import type { RawApi } from './raw-api.ts';

/** One case: a namespace of its own, and names that other runs do not use. */
export interface Case {
  readonly api: RawApi;
  readonly namespace: string;
  /** `/api/v1/namespaces/NS` */
  readonly path: string;
  readonly run: string;
}

export type Cases = Readonly<Record<string, (c: Case) => Promise<string | undefined>>>;

/** A pod that real admission takes without a token volume. */
export const pod = (name: string, more: object = {}): object => ({
  metadata: { name },
  spec: { automountServiceAccountToken: false, containers: [{ name: 'a', image: 'b' }], ...more },
});

export const configMap = (name: string, labels: Record<string, string> = {}): object => ({
  metadata: { name, labels },
  data: { a: '1' },
});

export const names = (body: { items: { metadata: { name: string } }[] }): string[] =>
  body.items.map((i) => i.metadata.name);

/** A case that was not skipped. */
export async function done(body: () => Promise<void>): Promise<undefined> {
  await body();
}
