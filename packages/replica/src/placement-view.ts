import type { Standing } from './ports.ts'
import { hasCaughtUp, type Seat, type Seated } from './seats.ts'

/** Where one partition is, and why. */
export interface PlacementView {
  readonly partition: number
  /** The live members: in the order in which they are to have it, then those that drain. */
  readonly ranking: readonly Seated[]
  /** Who owns it, by what the members say of themselves. */
  readonly owner: string | undefined
  /** Whether this instance runs a replica of it. */
  readonly runs: boolean
  /** Why it does, or does not, in a sentence. */
  readonly why: string
}

/** What an instance knows of itself. */
export interface OwnPart {
  readonly standing: Standing | undefined
  readonly draining: boolean
  /** Whether it has seen a list of members. */
  readonly known: boolean
}

/** Puts a seat into words, for the instance that asks. */
export function explained(partition: number, instance: string, seat: Seat, own: OwnPart): PlacementView {
  const { owner, members } = seat
  const runs = own.standing !== undefined
  const why = own.known ? reason(instance, seat, own) : 'coordination has not said yet who is alive'
  return { partition, ranking: own.known ? members : [], owner: owner?.instance, runs, why: `${instance}: ${why}` }
}

function reason(instance: string, { first, owner, members }: Seat, { standing, draining }: OwnPart): string {
  const behind = first.filter((member) => !hasCaughtUp(member.standing)).map((member) => member.instance)
  if (standing === undefined) {
    if (draining) return 'drains, and runs nothing'
    if (first.some((member) => member.instance === instance))
      return 'is to run it, and has not begun: others restore first'
    return `the first two are ${list(first)}`
  }
  if (draining) {
    if (members.every((member) => member.draining))
      return `drains, but keeps it: nobody else is there who does not drain`
    if (standing === 'owning') return `drains, and owns it until ${list(first)} ${isOrAre(first)} there to take it`
    return behind.length > 0 ? `drains, and keeps it until ${behind.join(' and ')} caught up` : 'drains, and ends it'
  }
  const place = first.findIndex((member) => member.instance === instance)
  if (place === 0) {
    if (standing === 'owning') return 'is first in the ranking, and owns it'
    const other = owner === undefined ? '' : `; ${owner.instance} owns it and is asked for it in a while`
    return `is first in the ranking${other}`
  }
  if (place > 0)
    return `is second in the ranking${standing === 'owning' ? ', and owns it: a live owner is left alone' : ''}`
  if (standing === 'owning')
    return `owns it: a live owner is left alone, until ${first[0]?.instance ?? 'another'} asks for it`
  if (behind.length > 0) return `keeps it until ${behind.join(' and ')} caught up`
  return `has it to spare: ${list(first)} have caught up, and it ends soon`
}

function list(members: readonly Seated[]): string {
  return members.map(({ instance }) => instance).join(' and ')
}

function isOrAre({ length }: readonly Seated[]): string {
  return length === 1 ? 'is' : 'are'
}
