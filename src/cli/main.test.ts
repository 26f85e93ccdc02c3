/** The program as it is typed where no agent runs. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { it } from 'node:test';

const MAIN = join(import.meta.dirname, 'main.ts');

const typed = (line: string) =>
  new Promise<{ code: number; err: string }>((resolve) => {
    const env = { ...process.env, FAIRLEAD_STATE_DIR: '/nowhere' };
    execFile(process.execPath, [MAIN, ...line.split(' ')], { env }, (error, _, err) =>
      resolve({ code: error ? Number(error.code) : 0, err }),
    );
  });

for (const [line, code, words] of [
  ['stauts', 2, 'there is no command "stauts" (did you mean status?)'],
  ['status --outptu json', 2, 'there is no flag --outptu (did you mean --output?)'],
  ['status now', 2, '"now" is one argument too many'],
  ['why n1', 2, 'say where from and where to: fairlead why FROM TO [TRAFFIC]'],
  ['status', 1, 'no agent answers on /nowhere/agent.sock (is it running, and with this --state-dir?)'],
  ['plan --config /nowhere/f.yaml', 1, 'cannot read /nowhere/f.yaml (ENOENT)'],
] as const)
  it(`${line}: one line, exit code ${code}`, async () =>
    assert.deepEqual(await typed(line), { code, err: `fairlead: ${words}\n` }));
