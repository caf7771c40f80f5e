import type { Mutation } from '@ricci/replica'

/** Each rule that can be taken away, with the seed from which on a search finds out that it is missing: the one that finds it now, so that the search is short. */
export const knownSeeds: Readonly<Record<Mutation, number>> = {
  'epoch-check': 1,
  'attempt-record': 1,
  'read-back': 1,
  'send-window': 7,
  'outcome-record': 1,
  'owned-time': 1,
  grace: 1,
  'producer-mark': 1,
  'dedup-key': 1,
  'resolve-wait': 6,
  skip: 59,
  'digest-member': 1,
  'self-alarm': 2,
  'older-outcome': 8,
  repair: 8,
  'new-try': 4,
  'doubt-time': 3,
  'digest-end': 418,
  'member-resolve': 209,
  'digest-doubt': 6,
  'retry-after': 14,
  'look-up': 3,
  'look-up-wait': 3,
  'tick-rank': 116,
  'stall-rule': 308,
  'claim-read-back': 6,
  'silent-reader': 11,
  'tick-path': 2,
  'diverged-claim': 96,
  'member-list': 1,
  'log-start': 72,
  escalation: 7,
  acknowledged: 9,
}

/** All of them: each is to be found. */
export const mutationNames = Object.keys(knownSeeds) as Mutation[]

export function isMutation(name: string): name is Mutation {
  return name in knownSeeds
}
