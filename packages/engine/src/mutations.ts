/**
 * The rules that keep pages from being lost or doubled, by name. Tests take one away at a time and expect the simulator's
 * oracle to notice; nothing else ever hands a mutation in.
 */
export type Mutation =
  | 'epoch-check'
  | 'attempt-record'
  | 'read-back'
  | 'send-window'
  | 'outcome-record'
  | 'owned-time'
  | 'grace'
  | 'producer-mark'
  | 'dedup-key'
  | 'resolve-wait'
  | 'skip'
  | 'digest-member'
  | 'self-alarm'
  | 'older-outcome'
  | 'repair'
  | 'new-try'
  | 'doubt-time'
  | 'digest-end'
  | 'member-resolve'
  | 'digest-doubt'
  | 'retry-after'
  | 'tick-rank'
