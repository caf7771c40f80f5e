import type { Mutation } from '@ricci/replica'

/** Each rule that can be taken away, with the seed from which on a search finds out, within a few dozen, that it is missing. */
export const knownSeeds: Readonly<Record<Mutation, number>> = {
  'epoch-check': 1,
  'attempt-record': 1,
  'read-back': 1,
  'send-window': 1,
  'outcome-record': 1,
  'owned-time': 1,
  grace: 1,
  'producer-mark': 1,
  'dedup-key': 1,
  'resolve-wait': 1,
  skip: 40,
  'digest-member': 1,
  'self-alarm': 1,
  'older-outcome': 1,
  repair: 1,
  'new-try': 1,
  'doubt-time': 1,
  'digest-end': 400,
  'member-resolve': 200,
  'digest-doubt': 1,
  'retry-after': 1,
  'look-up': 1,
  'look-up-wait': 1,
  'tick-rank': 110,
  'stall-rule': 300,
  'claim-read-back': 1,
  'silent-reader': 1,
  'tick-path': 1,
  'diverged-claim': 96,
  'member-list': 1,
  'log-start': 40,
  escalation: 1,
  acknowledged: 1,
}

/** All of them: each is to be found. */
export const mutationNames = Object.keys(knownSeeds) as Mutation[]

export function isMutation(name: string): name is Mutation {
  return name in knownSeeds
}
