// What agents may ask of sessions.

import type { SessionHost } from '../agents/ports.ts';
import type { Sessions } from './sessions.ts';

export function sessionHost(sessions: Sessions): SessionHost {
  return {
    async say(session_id, text) {
      const { interrupted, spoken_text } = await sessions.get(session_id).requests.say(text, 'handler');
      return { interrupted, spoken_text };
    },
    inject: async (session_id, text, respond) => sessions.get(session_id).requests.inject(text, respond, 'handler'),
    update: async (session_id, change) => sessions.get(session_id).requests.update(change, 'handler'),
    close: async (session_id, reason, by) => sessions.get(session_id).close(reason, by),
    handled: (session_id, error) => sessions.find(session_id)?.handled(error),
    root(session_id) {
      const { workflow_id, execution_id } = sessions.get(session_id).resource();
      return { workflow_id, execution_id };
    },
    handlerLost(_link_id, session_ids, reason) {
      for (const session_id of session_ids) sessions.find(session_id)?.handler.lost(reason);
    },
    handlerResumed: async (session_id, after_seq, link) => sessions.get(session_id).handler.resumed(after_seq, link),
  };
}
