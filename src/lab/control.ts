import { createServer, request, type Server } from 'node:http';
import { FairleadError } from '../model/errors.ts';

/** What the lab's control socket can be asked: a method's name to its function. Parameters and results are JSON. */
export type Methods = Readonly<Record<string, (params: never) => unknown>>;

/** Serves `methods` on a unix socket: POST /METHOD with JSON. */
export async function serveControl(path: string, methods: Methods): Promise<Server> {
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.once('end', () => {
      void answer(methods, (req.url ?? '').slice(1), Buffer.concat(chunks).toString()).then((text) => {
        res.setHeader('content-type', 'application/json');
        res.end(text);
      });
    });
  });
  server.requestTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return server;
}

async function answer(methods: Methods, name: string, body: string): Promise<string> {
  try {
    const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
    if (!method) throw new FairleadError('lab-control', `the lab knows no "${name}"`);
    const result = await method(JSON.parse(body || '{}') as never);
    return JSON.stringify({ result: result ?? null });
  } catch (error) {
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    const known = error instanceof FairleadError;
    return JSON.stringify({
      error: {
        code: known ? error.code : 'lab',
        message: known ? message : stack,
        hint: known ? error.hint : undefined,
      },
    });
  }
}

/** Asks the lab behind a control socket. Throws the lab's own error, or `no-lab` when nobody answers. */
export function ask<T>(path: string, method: string, params: unknown = {}): Promise<T> {
  return new Promise((resolve, reject) => {
    const req = request({ socketPath: path, method: 'POST', path: `/${method}` }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.once('error', reject);
      res.once('end', () => {
        const reply = JSON.parse(Buffer.concat(chunks).toString()) as {
          result?: T;
          error?: { code: string; message: string; hint?: string };
        };
        if (reply.error) {
          const { code, message, hint } = reply.error;
          reject(new FairleadError(code, message, hint === undefined ? {} : { hint }));
        } else resolve(reply.result as T);
      });
    });
    req.once('error', (cause) =>
      reject(new FairleadError('no-lab', `the lab does not answer: ${cause.message}`, { cause })),
    );
    req.end(JSON.stringify(params));
  });
}
