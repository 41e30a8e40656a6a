// The shape of the database, as numbered steps. A step that was ever released is never edited: add the next one.

import type { DatabaseSync } from 'node:sqlite';
import { StoreFailure } from './sqlite-errors.ts';

/** `ord` is the order of insertion; lists and cursors go by it. */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE sessions (
    ord INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL UNIQUE,
    agent TEXT NOT NULL,
    target TEXT NOT NULL,
    status TEXT NOT NULL,
    body TEXT NOT NULL
  );
  CREATE INDEX sessions_by_agent ON sessions (agent, ord);
  CREATE INDEX sessions_by_target ON sessions (target, ord);
  CREATE INDEX sessions_by_status ON sessions (status, ord);

  CREATE TABLE events (
    session_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at_ms REAL NOT NULL,
    type TEXT NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (session_id, seq)
  );

  CREATE TABLE executions (
    ord INTEGER PRIMARY KEY,
    execution_id TEXT NOT NULL UNIQUE,
    workflow_id TEXT NOT NULL,
    session_id TEXT,
    target TEXT NOT NULL,
    status TEXT NOT NULL,
    body TEXT NOT NULL,
    input TEXT,
    output TEXT
  );
  CREATE INDEX executions_by_workflow ON executions (workflow_id, ord);
  CREATE INDEX executions_by_session ON executions (session_id, ord) WHERE session_id IS NOT NULL;
  CREATE INDEX executions_by_target ON executions (target, ord);
  CREATE INDEX executions_by_status ON executions (status, ord);

  CREATE TABLE notes (
    ord INTEGER PRIMARY KEY,
    execution_id TEXT NOT NULL,
    at_ms REAL NOT NULL,
    text TEXT NOT NULL,
    data TEXT
  );
  CREATE INDEX notes_by_execution ON notes (execution_id, ord);

  CREATE TABLE claims (
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    result TEXT NOT NULL,
    at_ms REAL NOT NULL,
    PRIMARY KEY (scope, key)
  );

  CREATE TABLE keys (
    ord INTEGER PRIMARY KEY,
    key_id TEXT NOT NULL UNIQUE,
    hash TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at_ms REAL NOT NULL,
    revoked_at_ms REAL
  );
  `,
];

/** Brings the database to the newest version, all steps in one transaction; a newer database is refused. */
export function migrate(db: DatabaseSync, migrations: readonly string[] = MIGRATIONS): void {
  const found = Number(db.prepare('PRAGMA user_version').get()?.['user_version']);
  if (found > migrations.length) {
    throw new StoreFailure(
      'failed_precondition',
      `the database has version ${found} and this server knows up to ${migrations.length}; run the newer server, or restore a backup made by this one`,
    );
  }
  if (found === migrations.length) return;
  db.exec('BEGIN IMMEDIATE');
  try {
    for (const step of migrations.slice(found)) db.exec(step);
    db.exec(`PRAGMA user_version = ${migrations.length}`);
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}
