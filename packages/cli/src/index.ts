// the command line, for programs that embed it
export { createProgram } from './program.ts';
