// The second half of with-node.mjs: reads the command that it left in the environment and becomes it.
const [script, ...args] = JSON.parse(process.env.PARLEY_ARGV ?? '[]');
delete process.env.PARLEY_ARGV;
process.argv = [process.execPath, script, ...args];
const { pathToFileURL } = await import('node:url');
await import(pathToFileURL(script).href);
