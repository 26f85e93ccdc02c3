/** A file of ours, replaced atomically (temporary name in the same folder, then rename). */
export interface FileBody {
  readonly path: string;
  readonly content: string;
  /** Permission bits, 0o644 for a conflist. */
  readonly mode: number;
}

export const fileKey = (path: string): string => path;
