import { request as httpRequest, type IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { FairleadError } from '../model/errors.ts';

/** A caller of the agent's socket API. */
export class Client {
  readonly #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
  }

  async get<T>(path: string): Promise<T> {
    return (await this.#json('GET', path)) as T;
  }

  async post<T>(path: string, body: unknown): Promise<T> {
    return (await this.#json('POST', path, JSON.stringify(body))) as T;
  }

  /** Every line of a streaming answer, until the agent goes away. */
  async *lines<T>(path: string): AsyncGenerator<T> {
    const response = await this.#send('GET', path);
    try {
      for await (const line of createInterface({ input: response, crlfDelay: Infinity })) {
        if (line !== '') yield JSON.parse(line) as T;
      }
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
      const request = httpRequest({ socketPath: this.#socket, method, path, headers }, resolve);
      request.on('error', (error: NodeJS.ErrnoException) => reject(this.#unreachable(error)));
      request.end(body);
    });
  }

  #unreachable(error: NodeJS.ErrnoException): FairleadError {
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
