import type { Clock } from '../../model/clock.ts';
import { describe, FairleadError } from '../../model/errors.ts';
import type { Problem } from '../../model/problem.ts';
import type { WorldSink } from '../../model/world.ts';
import { fileLayer } from './file.ts';
import { envLayer, type Facts, flagLayer, type Layer, resolve, toConfig } from './resolve.ts';
import { SETTING_NAMES, settingOf, type Values } from './settings.ts';
import { configFile, readConfigFile, watchFile } from './watch.ts';

export interface ConfigInput {
  /** Flag values by flag name, as text. */
  readonly flags: ReadonlyMap<string, string>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly facts: Facts;
}

/** What was set, or why it cannot be used. */
export interface Loaded {
  readonly values: Values;
  readonly problems: readonly Problem[];
}

/**
 * The settings of flags and environment alone. They cannot change while the process lives, so a mistake in them is fatal:
 * throws `bad-settings` with one line a mistake. Problems that come back are only worth a warning: a variable with our prefix
 * that is not ours may have been set by something else.
 */
export function settingsAtStart(input: ConfigInput): Loaded {
  const env = envLayer(input.env);
  const { values, problems } = resolve([flagLayer(input.flags), env.layer], input.facts);
  if (problems.length > 0) throw new FairleadError('bad-settings', problems.map(problemText).join('\n'));
  return { values, problems: env.problems };
}

/** All layers together. `text` is the file's content; absent = there is no file. */
export async function load(
  input: ConfigInput,
  file: { path: string; text: string } | undefined,
): Promise<Loaded> {
  const env = envLayer(input.env);
  const layers: Layer[] = [flagLayer(input.flags), env.layer];
  if (file === undefined) return resolve(layers, input.facts);
  const read = await fileLayer(file.text, file.path);
  // The meaning of half a file is not checked: its other half may be what makes it right.
  if (read.problems.length > 0) {
    const rest = resolve([...layers, read.layer], input.facts);
    return { values: rest.values, problems: [...read.problems, ...rest.problems] };
  }
  return resolve([...layers, read.layer], input.facts);
}

export function problemText(problem: Problem): string {
  return `${problem.object}: ${problem.message}${problem.hint ? ` (${problem.hint})` : ''}`;
}

/** What the configuration source tells the agent. */
export interface ConfigListener {
  /** A configuration came into force. */
  onValues(values: Values): void;
  /** What is wrong with the file as it is now; empty when it is good again. */
  onProblems(problems: readonly Problem[]): void;
}

/**
 * Keeps the World's `config` equal to flags, environment and file. A file with any mistake is not used at all: the last good
 * configuration stays in force and the mistakes are told. Before there was a good one the source is not ready, so nothing is
 * planned and nothing removed.
 */
export class ConfigSource {
  readonly #input: ConfigInput;
  readonly #sink: WorldSink;
  readonly #listener: ConfigListener;
  readonly #clock: Clock;
  #started: Values | undefined;
  #path: string | undefined;
  #inForce: string | undefined;
  #watched: { close(): void } | undefined;
  #reading: Promise<void> | undefined;
  #again = false;

  constructor(input: ConfigInput, sink: WorldSink, clock: Clock, listener: ConfigListener) {
    this.#input = input;
    this.#sink = sink;
    this.#clock = clock;
    this.#listener = listener;
  }

  /**
   * Reads once, then follows changes. Resolves after the first read with what is in force: the file's settings, or, when the
   * file is bad, `fallback`, by which the parts that cannot change later then run.
   */
  async start(path: string | undefined, fallback: Values): Promise<Values> {
    if (path === undefined) this.#use(await load(this.#input, undefined));
    else await this.#follow(path);
    this.#started ??= fallback;
    return this.#started;
  }

  async #follow(path: string): Promise<void> {
    this.#path = await configFile(path);
    await this.read();
    this.#watched = watchFile(this.#path, this.#clock, () => void this.read());
  }

  /** Reads the file now. Calls that come while one is under way end in one more read. */
  async read(): Promise<void> {
    if (this.#reading !== undefined) {
      this.#again = true;
      return this.#reading;
    }
    this.#reading = (async () => {
      do {
        this.#again = false;
        await this.#readOnce();
      } while (this.#again);
    })();
    try {
      await this.#reading;
    } finally {
      this.#reading = undefined;
    }
  }

  close(): void {
    this.#watched?.close();
  }

  async #readOnce(): Promise<void> {
    const path = this.#path;
    if (path === undefined) return;
    try {
      this.#use(await load(this.#input, { path, text: await readConfigFile(path) }));
    } catch (error) {
      this.#refuse([{ object: 'setting config', message: describe(error) }]);
    }
  }

  #use(loaded: Loaded): void {
    if (loaded.problems.length > 0) {
      this.#refuse(loaded.problems);
      return;
    }
    const values: Record<string, unknown> = { ...loaded.values };
    const late: Problem[] = [];
    const started = this.#started;
    for (const name of started ? SETTING_NAMES : []) {
      if (settingOf(name).live || Object.is(started?.[name], values[name])) continue;
      late.push({
        object: `setting ${name}`,
        message: `is still ${JSON.stringify(started?.[name])}: its change to ${JSON.stringify(values[name])} takes effect when the agent starts again`,
        hint: 'restart the agent',
      });
      values[name] = started?.[name];
    }
    const use = values as Values;
    this.#started ??= use;
    this.#listener.onProblems(late);
    const text = JSON.stringify(use);
    if (text === this.#inForce) return;
    this.#inForce = text;
    this.#listener.onValues(use);
    this.#sink.put('config', 'config', Object.freeze(toConfig(use)));
    this.#sink.ready('config');
  }

  #refuse(problems: readonly Problem[]): void {
    this.#listener.onProblems(problems);
    if (this.#inForce === undefined) this.#sink.notReady('config', problems.map(problemText).join('; '));
  }
}
