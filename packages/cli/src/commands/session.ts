// parley session …

import type { Command } from 'commander';
import { sessionClose } from './session-close.ts';
import { sessionList } from './session-list.ts';
import { sessionOffer } from './session-offer.ts';
import { sessionShow } from './session-show.ts';
import { sessionStart } from './session-start.ts';
import { sessionTail } from './session-tail.ts';
import { sessionTalk } from './session-talk.ts';
import { sessionTool } from './session-tool.ts';
import { sessionTurn } from './session-turn.ts';
import { sessionWorkflows } from './session-workflows.ts';

export function session(program: Command): void {
  const group = program.command('session').alias('sessions').description('start, talk, look, end');
  sessionStart(group);
  sessionTalk(group);
  sessionOffer(group);
  sessionTurn(group);
  sessionTool(group);
  sessionList(group);
  sessionShow(group);
  sessionTail(group);
  sessionWorkflows(group);
  sessionClose(group);
}
