// A server to be killed: prints its url, then, once an agent is there, the id of every execution that it acknowledged.
// Arguments: the directory of its store, and the number of executions.

import { TestServer } from '../agents/server.test.peer.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';

const [directory = '', count = '0'] = process.argv.slice(2);
const server = await TestServer.open({ store: await openSqliteStore({ directory }) });
process.stdout.write(`${server.url}\n`);
process.stdin.once('data', () => {
  for (let i = 0; i < Number(count); i++) {
    void server.executions
      .start({ target: 'support.look', input: { i } })
      .then(({ execution_id }) => process.stdout.write(`${execution_id}\n`));
  }
});
