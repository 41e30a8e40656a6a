// The example agent as a child of the demonstration: it ends with its parent, in whatever way that one ends.

process.once('disconnect', () => process.exit(1));
// Listening alone would keep the process alive after the agent has drained.
process.channel?.unref();

await import('../support.ts');
