import { randomUUID } from 'node:crypto';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { describe } from '../model/errors.ts';
import type { Problem } from '../model/problem.ts';

export interface BootFileOptions {
  readonly file: string;
  /** The kernel's boot_id: what was written before a reboot is not believed. */
  readonly boot: string;
  tell(problems: readonly Problem[]): void;
}

/** What an agent leaves to the next one in the state folder: one JSON object, replaced as a whole. */
export class BootFile {
  readonly #options: BootFileOptions;
  readonly #loss: string;
  #troubled = false;

  /** `loss`: what it means when it cannot be written. */
  constructor(options: BootFileOptions, loss: string) {
    this.#options = options;
    this.#loss = loss;
  }

  /** What cannot be read was never written by us whole, or lies: then nothing is known. */
  read(): Readonly<Record<string, unknown>> {
    const { file, boot } = this.#options;
    try {
      const parsed = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
      return parsed.boot === boot ? parsed : {};
    } catch {
      return {};
    }
  }

  write(content: Readonly<Record<string, unknown>>): void {
    const { file, boot } = this.#options;
    this.#attempt(() => {
      writeFileSync(`${file}.new`, JSON.stringify({ version: 1, boot, ...content }), { mode: 0o600 });
      renameSync(`${file}.new`, file);
    });
  }

  remove(): void {
    this.#attempt(() => rmSync(this.#options.file, { force: true }));
  }

  #attempt(change: () => void): void {
    const { file, tell } = this.#options;
    try {
      change();
      if (this.#troubled) tell([]);
      this.#troubled = false;
    } catch (error) {
      this.#troubled = true;
      tell([
        {
          object: `file ${file}`,
          message: `cannot be written: ${describe(error)}; ${this.#loss}`,
          hint: 'the state folder must be writable and have space',
        },
      ]);
    }
  }
}

/** Names this run of the kernel. Without one every start counts as a reboot. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return randomUUID();
  }
}

/** Each text as `read` takes it; `undefined` unless it is a list of nothing else. */
export function listOf<T>(value: unknown, read: (text: string) => T | undefined): readonly T[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const items = value.map((text) => read(String(text))).filter((item) => item !== undefined);
  return items.length === value.length ? items : undefined;
}
