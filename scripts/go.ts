// The verbs of packages/go: build, test, check. Go keeps a cache of its own, and downloads the version that go.mod asks
// for where the machine's is older.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { faults, inTurn, runSteps } from './steps.ts';
import { plainLine, type Skip, type Totals } from './totals.ts';
import { type Ended, root, run, temporary } from './workspace.ts';

const folder = join(root, 'packages', 'go');
const env = { GOTOOLCHAIN: process.env['GOTOOLCHAIN'] ?? 'auto' };

const verbs: Readonly<Record<string, () => Promise<number>>> = { build, test, check };
const [verb = ''] = process.argv.slice(2);
if (!(verb in verbs)) throw new TypeError(`expected build, test or check, got '${verb}'`);
process.exitCode = await (verbs[verb] as () => Promise<number>)();

async function build(): Promise<number> {
  if ((await run('go', ['version'], { env })).code === 127) {
    console.log('go is not on PATH: packages/go is not built');
    return 0;
  }
  const { code, output } = await go('build', '-o', 'dist/', './internal/testee', './examples/support');
  process.stdout.write(output);
  return code;
}

/** What one line of `go test -json` says. */
interface TestEvent {
  Action: string;
  Package?: string;
  Test?: string;
  Output?: string;
}

async function test(): Promise<number> {
  const skipped: Skip[] = [];
  const race = await raceDetector();
  if (!race) skipped.push({ test: 'packages/go with the race detector', reason: 'there is no C compiler' });
  const { code, output } = await go('test', '-json', '-count=1', ...(race ? ['-race'] : []), './...');
  const events = output.split('\n').flatMap(parse);
  const tests = events.filter(({ Test }) => Test !== undefined);
  const failed = new Set(tests.filter(({ Action }) => Action === 'fail').map(name));
  for (const event of events) {
    const shown = event.Action === 'build-output' || (event.Test === undefined ? code !== 0 : failed.has(name(event)));
    if (shown && event.Output !== undefined) process.stdout.write(event.Output);
  }
  for (const event of tests.filter(({ Action }) => Action === 'skip')) {
    const said = tests.filter((one) => name(one) === name(event) && one.Output !== undefined).map((one) => one.Output);
    const reason = said.map((line) => /_test\.go:\d+: (.+)/.exec(line ?? '')?.[1]).find((text) => text !== undefined);
    skipped.push({ test: name(event), reason: reason ?? 'no reason given' });
  }
  for (const skip of skipped) console.log(`skipped: ${skip.test}: ${skip.reason}`);
  const passed = new Set(tests.filter(({ Action }) => Action === 'pass').map(name)).size;
  // A package that did not compile, or panicked, failed once even when no test of it says so.
  const totals: Totals = { passed, failed: failed.size === 0 && code !== 0 ? 1 : failed.size, skipped };
  console.log(plainLine(totals));
  return code;
}

function parse(line: string): TestEvent[] {
  if (!line.startsWith('{')) return line === '' ? [] : [{ Action: 'build-output', Output: `${line}\n` }];
  return [JSON.parse(line) as TestEvent];
}

function name(event: TestEvent): string {
  return `${event.Package ?? ''} ${event.Test ?? ''}`.replace('github.com/parley-dev/parley/', '');
}

/** The race detector needs cgo, and cgo a C compiler. */
async function raceDetector(): Promise<boolean> {
  const { output } = await go('env', 'CGO_ENABLED', 'CC');
  const [cgo = '0', compiler = 'gcc'] = output.trim().split('\n');
  return cgo === '1' && (await run(compiler, ['--version'])).code === 0;
}

async function check(): Promise<number> {
  const totals = await runSteps([
    { name: 'go: format', run: format },
    { name: 'go: vet', run: () => go('vet', './...') },
    { name: 'go: staticcheck', run: () => go('tool', '-modfile=tools/go.mod', 'staticcheck', './...') },
    { name: 'go: modules are tidy', run: () => go('mod', 'tidy', '-diff') },
    { name: 'go: another module can require it', run: consume },
  ]);
  return totals.failed > 0 ? 1 : 0;
}

async function format(): Promise<Ended> {
  const { code, output } = await run('gofmt', ['-l', '.'], { cwd: folder, env });
  return code !== 0 ? { code, output } : faults(output.split('\n').filter((line) => line !== ''));
}

/** A module of its own, with nothing but a `replace`, builds a program that uses the package. */
async function consume(): Promise<Ended> {
  const consumer = temporary('go-consumer');
  mkdirSync(consumer, { recursive: true });
  const module = 'github.com/parley-dev/parley/packages/go';
  writeFileSync(
    join(consumer, 'go.mod'),
    `module consumer\n\ngo 1.26\n\nrequire ${module} v0.0.0\n\nreplace ${module} => ${folder}\n`,
  );
  writeFileSync(
    join(consumer, 'main.go'),
    `package main\n\nimport parley "${module}"\n\nfunc main() {\n\tif _, err := parley.NewAgent("support"); err != nil {\n\t\tpanic(err)\n\t}\n}\n`,
  );
  return inTurn(
    () => run('go', ['mod', 'tidy'], { cwd: consumer, env }),
    () => run('go', ['run', '.'], { cwd: consumer, env }),
  );
}

function go(...args: string[]): Promise<Ended> {
  return run('go', args, { cwd: folder, env });
}
