/** What the HTTP side asks of a server, each question handed to the part that answers it. */
import type { Clock, Placement } from '@ricci/replica'
import type { Registry } from 'prom-client'
import type { Config } from '../config/config.ts'
import { RicciError } from '../errors.ts'
import type { Explainer } from '../explain/explainer.ts'
import type { HttpBackend, Readiness } from '../http/backend.ts'
import type { Drills } from '../incidents/drills.ts'
import type { IncidentCommands } from '../incidents/incident-commands.ts'
import type { Intake } from '../intake/intake.ts'
import type { QueryFanOut } from '../peers/fan-out.ts'
import type { Receivers } from '../receivers/receivers.ts'
import type { Backends } from './backends.ts'
import { recordLines } from './log-lines.ts'
import type { Membership } from './membership.ts'
import type { Overview } from './overview.ts'
import { operatorFigures } from './operator-figures.ts'
import type { Partitions } from './partitions.ts'
import { rulesOverview } from './rules-overview.ts'
import type { RulesPlaces, ServerRules } from './server-rules.ts'
import type { ServerStatus } from './status.ts'

/** What a server consists of once it runs. */
export interface Parts extends RulesPlaces {
  readonly backends: Backends
  readonly running: Partitions
  readonly placement: Placement
  readonly membership: Membership | undefined
  readonly queries: QueryFanOut
  readonly explainer: Explainer
  readonly commands: IncidentCommands
  readonly drills: Drills
  readonly intake: Intake
}

export interface HttpBackendOptions {
  readonly config: Config
  readonly clock: Clock
  readonly metrics: Registry
  readonly receivers: Receivers
  readonly rules: ServerRules
  /** @throws RicciError `NOT_RUNNING` before it runs */
  readonly running: () => Parts
  /** Its partitions, once it runs. */
  readonly runningYet: () => Partitions | undefined
  readonly readiness: () => Readiness
  readonly status: () => Promise<ServerStatus>
  readonly overview: () => Promise<Overview>
  /** Does something once the reloads that were asked for before are done. */
  readonly afterReloads: <Result>(work: () => Promise<Result>) => Promise<Result>
}

export function httpBackend(options: HttpBackendOptions): HttpBackend {
  const { config, clock, metrics, receivers, rules, running, readiness, status, overview, afterReloads } = options
  return {
    ...{ metrics, readiness, status, overview },
    refresh: async () => {
      const all = options.runningYet()?.all() ?? []
      await Promise.all(all.flatMap(({ engine }) => [engine.refresh(), engine.refreshOperators()]))
    },
    query: ({ query, limit, cursor, shape }) =>
      running().queries.answer(query, shape, clock.monotonicMs(), limit, cursor),
    incidents: (request) => running().queries.incidents(request),
    command: (request, asker) => running().commands.run(request, asker),
    drill: ({ to, id, why }, asker) => running().drills.run(to, id, why, asker),
    watch: (query, shape, signal, from) => running().queries.watch(query, shape, signal, from),
    logId: () => running().backends.log.id,
    take: (events) => running().intake.take(events),
    records: (request, signal) => recordLines(running().backends.log, clock, request, signal),
    inbound: (receiver) => config.receivers.get(receiver)?.inbound,
    receivers: () => receivers.views(),
    tryReceiver: (name) => receivers.try(name),
    rules: {
      status: async () => {
        const all = running().running.all()
        const [here, elsewhere] = await Promise.all([
          status(),
          running().membership?.statuses(),
          ...all.map(({ engine }) => engine.refreshOperators()),
        ])
        return rulesOverview(here, elsewhere, operatorFigures(all.map(({ engine }) => engine.operators)))
      },
      diff: () => afterReloads(() => rules.preview(running())),
      reload: (how) => afterReloads(() => rules.reload(running(), how)),
    },
    explainer: () => running().explainer,
    cluster: () => {
      const { membership, placement } = running()
      if (membership !== undefined) return membership.backend(placement)
      throw new RicciError('NO_CLUSTER', 'this server works alone; it is of no cluster')
    },
  }
}
