import pino, { type Logger } from 'pino';
import type { LogLine } from './loop-log.ts';

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

/**
 * Writes lines at the end of the turn of the event loop: what happens many times a change must not stand between it and the kernel. What is
 * left when the process exits is written then.
 */
export function atEndOfTurn(log: Log): LogLine {
  let lines: Parameters<LogLine>[] = [];
  const flush = () => {
    const written = lines;
    lines = [];
    for (const [level, message, fields] of written) log[level](fields, message);
  };
  process.once('exit', flush);
  return (...line) => {
    if (lines.length === 0) setImmediate(flush);
    lines.push(line);
  };
}
