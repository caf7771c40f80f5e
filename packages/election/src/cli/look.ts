/** `elect status`, `elect watch`, `elect resign`: looks from outside, by who does not stand. */
import { bounded, pause } from '../bounded.ts'
import type { Clock } from '../clock.ts'
import { soleName } from '../election.ts'
import { ElectionError } from '../errors.ts'
import type { GroupView, LeaseStore, NameView } from '../store.ts'

/** How long the store may take, in ms. */
const patienceMs = 10_000

/** How often `watch` and `resign` look, in ms. */
const lookEveryMs = 500

/** How long `resign` waits for another leader, in ms: work that is being ended may take its grace. */
const handOverPatienceMs = 60_000

interface Looking {
  readonly clock: Clock
  readonly out: (line: string) => void
  readonly stop: AbortSignal
}

/** Prints who leads and who is there; gives 0, or 1 when nobody leads. */
export async function status(store: LeaseStore, name: string, output: string, looking: Looking): Promise<number> {
  const view = await look(store, name, looking)
  for (const line of output === 'json' ? [json(name, view)] : table(name, view)) looking.out(line)
  return view.names.get(soleName)?.holder === undefined ? 1 : 0
}

/** Prints the same, and each change, until it is stopped. */
export async function watch(store: LeaseStore, name: string, output: string, looking: Looking): Promise<number> {
  let before = ''
  while (!looking.stop.aborted) {
    const view = await look(store, name, looking)
    const now = json(name, view)
    if (now !== before) for (const line of output === 'json' ? [now] : table(name, view)) looking.out(line)
    before = now
    await pause(looking.clock, lookEveryMs, looking.stop)
  }
  return 0
}

/** Asks the leader to hand over, and waits until there is a new one; 1 when it is not the one that was wanted, when there is none in time, or nobody led. */
export async function resign(
  store: LeaseStore,
  name: string,
  to: string | undefined,
  looking: Looking,
): Promise<number> {
  const view = await look(store, name, looking)
  const led = view.names.get(soleName)
  if (led?.holder === undefined) return (looking.out(`nobody leads ${name}`), 1)
  if (to !== undefined && !view.members.some(({ id }) => id === to)) {
    const ids = view.members.map(({ id }) => id).join(', ')
    throw new ElectionError('OPTION_INVALID', `there is no candidate ${to}; there are ${ids}`, false)
  }
  const request = { by: 'elect resign', attempt: `${looking.clock.wallMs()}`, ...(to !== undefined && { to }) }
  const ask = (signal: AbortSignal): Promise<void> => store.request(name, soleName, led.token, request, signal)
  await bounded(looking.clock, patienceMs, looking.stop, ask)
  for (const endMs = looking.clock.monotonicMs() + handOverPatienceMs; looking.clock.monotonicMs() < endMs;) {
    const now = (await look(store, name, looking)).names.get(soleName)
    if (now !== undefined && now.token !== led.token && now.holder !== undefined) {
      const taken = to === undefined ? now.holder.session !== led.holder.session : now.holder.id === to
      const instead = to === undefined ? ', again: nobody else has taken it' : `: ${to} has not taken it`
      looking.out(`${now.holder.id} leads ${name}, under token ${now.token}${taken ? '' : instead}`)
      return taken ? 0 : 1
    }
    await pause(looking.clock, lookEveryMs, looking.stop)
    looking.stop.throwIfAborted()
  }
  looking.out(
    `${led.holder.id} was asked, and nobody else leads ${name} after ${handOverPatienceMs / 1000} s; elect watch shows what happens`,
  )
  return 1
}

function look(store: LeaseStore, name: string, { clock, stop }: Looking): Promise<GroupView> {
  return bounded(clock, patienceMs, stop, (signal) => store.look(name, signal))
}

function table(name: string, view: GroupView): string[] {
  const led = view.names.get(soleName)
  const members = view.members.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  const idWidth = Math.max(0, ...members.map(({ id }) => id.length))
  return [
    led?.holder === undefined
      ? `${name}: nobody leads`
      : `${name}: ${led.holder.id} leads, under token ${led.token}${asked(led)}`,
    ...members.map(({ id, session, data }) => {
      const what = session === led?.holder?.session ? 'leader' : 'candidate'
      return data === null
        ? `  ${id.padEnd(idWidth)}  ${what}`
        : `  ${id.padEnd(idWidth)}  ${what.padEnd(9)}  ${JSON.stringify(data)}`
    }),
  ]
}

function asked({ request }: NameView): string {
  if (request === undefined) return ''
  return `; asked by ${request.by} to hand over${request.to === undefined ? '' : ` to ${request.to}`}`
}

function json(name: string, view: GroupView): string {
  const led = view.names.get(soleName)
  return JSON.stringify({
    name,
    leader: led?.holder?.id ?? null,
    token: led?.holder === undefined ? null : String(led.token),
    members: view.members.map(({ id, data }) => ({ id, data })),
  })
}
