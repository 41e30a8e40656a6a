// A new project, from the files of a template. It is written beside its place and then moved there: what failed half way
// leaves nothing behind.

import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { ParleyError } from '@parley/core';

export const LANGUAGES = ['typescript', 'python'] as const;
export type Language = (typeof LANGUAGES)[number];

export interface ProjectOptions {
  /** Where to write it; its last part is the project's name. */
  folder: string;
  language: Language;
}

const TEMPLATES = join(import.meta.dirname, '..', 'templates');
const NAME = /^[a-z][a-z0-9_-]{0,63}$/;

/** @returns the files, relative to the folder. @throws ParleyError `invalid_argument`, `already_exists`. */
export function createProject({ folder, language }: ProjectOptions): string[] {
  const target = resolve(folder);
  const name = basename(target);
  if (!NAME.test(name)) {
    throw new ParleyError('invalid_argument', `a project's name must match ${NAME.source}, got '${name}'`);
  }
  if (existsSync(target) && readdirSync(target).length > 0) {
    throw new ParleyError('already_exists', `${target} has something in it: choose another name`);
  }
  mkdirSync(dirname(target), { recursive: true });
  const staged = mkdtempSync(join(dirname(target), `.${name}-`));
  try {
    cpSync(join(TEMPLATES, language), staged, { recursive: true });
    const files = filesIn(staged);
    const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8')) as {
      version: string;
    };
    for (const file of files) {
      const path = join(staged, file);
      const text = readFileSync(path, 'utf8').replaceAll('{{name}}', name).replaceAll('{{version}}', version);
      writeFileSync(path, text);
      // npm takes some names out of a package: those are written with an underscore.
      if (basename(file).startsWith('_')) renameSync(path, join(dirname(path), named(basename(file))));
    }
    // An empty folder may be there.
    rmSync(target, { recursive: true, force: true });
    renameSync(staged, target);
    return filesIn(target);
  } catch (error) {
    rmSync(staged, { recursive: true, force: true });
    throw error;
  }
}

/** `_gitignore` is `.gitignore`, `_package.json` is `package.json`. */
function named(file: string): string {
  const name = file.slice(1);
  return name.includes('.') && !name.startsWith('env') ? name : `.${name}`;
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}
