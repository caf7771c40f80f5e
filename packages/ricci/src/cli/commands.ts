import type { Command } from 'commander'
import { agentCommand } from './agent.ts'
import { checkCommand } from './check.ts'
import { clusterCommand } from './cluster.ts'
import { devCommand } from './dev.ts'
import { incidentsCommand } from './incidents.ts'
import { leadCommand } from './lead.ts'
import { queryCommand } from './query.ts'
import { sendCommand } from './send.ts'
import { serveCommand } from './serve.ts'
import { statusCommand } from './status.ts'
import type { Surroundings } from './surroundings.ts'
import { testCommand } from './test.ts'
import { versionCommand } from './version.ts'
import { watchCommand } from './watch.ts'

/** Every command, in the order in which help lists them. */
export function allCommands(surroundings: Surroundings): Command[] {
  return [
    devCommand(surroundings),
    serveCommand(surroundings),
    agentCommand(surroundings),
    checkCommand(surroundings),
    testCommand(surroundings),
    sendCommand(surroundings),
    queryCommand(surroundings),
    watchCommand(surroundings),
    statusCommand(surroundings),
    incidentsCommand(surroundings),
    clusterCommand(surroundings),
    leadCommand(),
    versionCommand(surroundings),
  ]
}
