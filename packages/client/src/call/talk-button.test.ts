import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { CallLine } from './call-parts.ts';
import { MicrophoneGate } from './microphone-gate.ts';
import { TalkButton } from './talk-button.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A button of a call over WebRTC without turn detection, and what was done with it. */
function button() {
  const done: string[] = [];
  let over = false;
  const gate = new MicrophoneGate(true, () => undefined);
  gate.pushToTalk = true;
  const line = { path: 'webrtc', clearInput: () => done.push('clear') } as unknown as CallLine;
  const call = {
    pushToTalk: true,
    interrupt: () => done.push('interrupt'),
    endTurn: () => done.push('end turn'),
    report: () => done.push('report'),
  };
  const talk = new TalkButton({ call, gate, line: () => line, over: () => over });
  return { talk, done, end: () => (over = true) };
}

test('over WebRTC a turn ends when its last words had time to arrive', () => {
  const { talk, done } = button();
  talk.press();
  talk.release();
  expect(done).toEqual(['interrupt', 'clear']);
  vi.runAllTimers();
  expect(done).toEqual(['interrupt', 'clear', 'end turn']);
});

test('a button that is pressed again before its turn has ended ends one turn, with all of its words', () => {
  const { talk, done } = button();
  talk.press();
  talk.release();
  vi.advanceTimersByTime(100);
  talk.press();
  vi.advanceTimersByTime(20);
  talk.release();
  vi.advanceTimersByTime(40);
  // The time of the first release is over; the words of the second still travel.
  expect(done).not.toContain('end turn');
  vi.runAllTimers();
  expect(done.filter((one) => one === 'end turn')).toHaveLength(1);
});

test('a call that is over ends no turn', () => {
  const { talk, done, end } = button();
  talk.press();
  talk.release();
  end();
  vi.runAllTimers();
  expect(done).not.toContain('end turn');
});
