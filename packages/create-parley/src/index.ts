// writing a project
export { createProject, LANGUAGES, type Language, type ProjectOptions } from './project.ts';
