// README.md shows samples as they are in the files that conformance runs: between `<!-- sample: NAME -->` and `<!-- end -->`,
// once in each language that has it.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const PAGE = 'README.md';

const LANGUAGES = [
  { fence: 'ts', path: (name: string) => `apps/examples/src/samples/${name}.ts` },
  { fence: 'python', path: (name: string) => `packages/python/examples/${name}.py` },
  { fence: 'go', path: (name: string) => `packages/go/examples/${name}/main.go` },
] as const;

/** One line for each block that differs from its sources; none when the page is up to date. */
export function staleSamples(root: string): string[] {
  const page = readFileSync(join(root, PAGE), 'utf8');
  return fillSamples(page, sourceIn(root)) === page ? [] : [`${PAGE} shows a sample as it was; run: npm run generate`];
}

export function writeSamples(root: string): void {
  const path = join(root, PAGE);
  const page = readFileSync(path, 'utf8');
  const filled = fillSamples(page, sourceIn(root));
  if (filled !== page) writeFileSync(path, filled);
  console.log(`${PAGE}: ${filled === page ? 'its samples are up to date' : 'samples written'}`);
}

/** @throws Error for a sample that no language has, or a page without any. */
export function fillSamples(page: string, source: (path: string) => string | null): string {
  let blocks = 0;
  const filled = page.replace(
    /(<!-- sample: (\S+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, begin: string, name: string, end) => {
      blocks += 1;
      const shown = LANGUAGES.flatMap(({ fence, path }) => {
        const text = source(path(name));
        return text === null ? [] : [`\`\`\`${fence}\n${partShown(text, path(name))}\n\`\`\`\n`];
      });
      if (shown.length === 0) throw new Error(`${PAGE} names a sample '${name}' that no language has`);
      return `${begin}${shown.join('\n')}${end}`;
    },
  );
  if (blocks === 0) throw new Error(`${PAGE} has no block <!-- sample: NAME -->`);
  return filled;
}

/** What stands between `sample begins` and `sample ends`, moved to the left margin; else all but the first comment. */
export function partShown(text: string, path: string): string {
  const lines = text.trimEnd().split('\n');
  const begins = lines.findIndex((line) => /^\s*(?:\/\/|#) sample begins$/.test(line));
  const ends = lines.findIndex((line) => /^\s*(?:\/\/|#) sample ends$/.test(line));
  if (begins < 0 && ends < 0)
    return lines.slice(lines.findIndex((line) => !/^(?:\/\/.*|#.*|""".*"""|\s*)$/.test(line))).join('\n');
  if (begins < 0 || ends < begins) throw new Error(`${path}: expected 'sample begins' before 'sample ends'`);
  const shown = lines.slice(begins + 1, ends);
  const margins = shown.filter((line) => line.trim() !== '').map((line) => /^\s*/.exec(line)?.[0].length ?? 0);
  const margin = Math.min(...margins);
  return shown.map((line) => line.slice(margin)).join('\n');
}

function sourceIn(root: string): (path: string) => string | null {
  return (path) => (existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : null);
}
