import { request as httpRequest, type IncomingMessage } from 'node:http';
import { FairleadError } from '../model/errors.ts';
import { holderOf } from './holder.ts';

/** An agent that says nothing for so long, in milliseconds, does not answer. */
const PATIENCE_MS = 5_000;

/** A caller of the agent's socket API. Throws `no-agent` when there is none, `no-answer` when it is silent for `patience` milliseconds. */
export class Client {
  readonly #socket: string;
  readonly #patience: number;

  constructor(socket: string, patience = PATIENCE_MS) {
    this.#socket = socket;
    this.#patience = patience;
  }

  async get<T>(path: string): Promise<T> {
    return (await this.#json('GET', path)) as T;
  }

  async post<T>(path: string, body: unknown): Promise<T> {
    return (await this.#json('POST', path, JSON.stringify(body))) as T;
  }

  /** Every line of a streaming answer, until the agent goes away. The first must come soon; then it may be silent for ever. */
  async *lines<T>(path: string): AsyncGenerator<T> {
    const response = await this.#send('GET', path);
    response.setEncoding('utf8');
    let rest = '';
    try {
      for await (const text of response as AsyncIterable<string>) {
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        if (lines.length > 0) response.setTimeout(0);
        for (const line of lines) if (line !== '') yield JSON.parse(line) as T;
      }
    } catch (error) {
      // A connection that breaks off is an agent that went away.
      if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error;
    } finally {
      // Also when the reader has seen enough: the agent then stops telling.
      response.destroy();
    }
  }

  async #json(method: string, path: string, body?: string): Promise<unknown> {
    const response = await this.#send(method, path, body);
    const chunks: Buffer[] = [];
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
    const answer: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    if (response.statusCode === 200) return answer;
    throw refusal(answer);
  }

  #send(method: string, path: string, body?: string): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { 'content-type': 'application/json' };
      let response: IncomingMessage | undefined;
      const request = httpRequest({ socketPath: this.#socket, method, path, headers }, (answer) => {
        response = answer;
        resolve(answer);
      });
      request.setTimeout(this.#patience, () => (response ?? request).destroy(this.#silent()));
      request.on('error', (error: NodeJS.ErrnoException) =>
        reject(error instanceof FairleadError ? error : this.#unreachable(error)),
      );
      request.end(body);
    });
  }

  #silent(cause?: Error): FairleadError {
    const holder = holderOf(this.#socket);
    const who = holder ? ` (pid ${holder.pid}, ${holder.state})` : '';
    const stopped = holder?.state === 'stopped';
    return new FairleadError(
      'no-answer',
      `the agent${who} holds ${this.#socket} and does not answer${cause ? '' : ` for ${this.#patience / 1000} s`}`,
      {
        hint: stopped
          ? `somebody stopped it: kill -CONT ${holder.pid}; what it programmed works on meanwhile`
          : 'see its log; to start anew kill it, which leaves what it programmed as it is',
        cause,
      },
    );
  }

  #unreachable(error: NodeJS.ErrnoException): FairleadError {
    // Its queue of connections is full (unix(7)): it has not taken one for long.
    if (error.code === 'EAGAIN') return this.#silent(error);
    const missing = error.code === 'ENOENT' || error.code === 'ECONNREFUSED';
    return new FairleadError(
      missing ? 'no-agent' : 'socket',
      missing
        ? `no agent answers on ${this.#socket}`
        : `cannot talk to the agent on ${this.#socket} (${error.code ?? error.message})`,
      {
        hint:
          error.code === 'EACCES'
            ? 'only root may: try with sudo'
            : 'is it running, and with this --state-dir?',
        cause: error,
      },
    );
  }
}

function refusal(answer: unknown): FairleadError {
  const error = (answer as { error?: { code?: string; message?: string; hint?: string } }).error ?? {};
  return new FairleadError(error.code ?? 'agent', error.message ?? 'the agent could not answer', {
    ...(error.hint ? { hint: error.hint } : {}),
  });
}
