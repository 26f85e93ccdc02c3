import pino, { type Logger } from 'pino';

export type Log = Logger;

/**
 * One JSON object a line on standard output: `level` as a word, `time` in ISO 8601, `node`, `msg`, and the objects that the
 * line is about. Written synchronously, so that the last words of a crash are not lost.
 */
export function createLog(level: string, node: string): Log {
  return pino(
    {
      level,
      base: { node },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ fd: 1, sync: true }),
  );
}
