// `npm run faults -- [--kills N] [--seed SEED] [--program FILE]`: kills the real daemon and judges what is left. `npm test -- faults` runs all faults.
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { agentKillsText, runAgentKills } from './agent.ts'
import { faultElections } from '../election/faults/main.ts'
import { faultCluster } from './cluster/main.ts'
import { killsText, runKills } from './kills.ts'

const usage = `usage: npm run faults -- [--kills N] [--seed SEED] [--program FILE]
       npm run faults -- agent [--minutes M] [--seed SEED]
       npm run faults -- election …
       npm run faults -- cluster …`

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string', default: '30' },
      seed: { type: 'string', default: '1' },
      // the runner lays the product beside its tools; another build, a broken one for instance, can be judged as well
      program: { type: 'string', default: fileURLToPath(new URL('./ricci.mjs', import.meta.url)) },
    },
  })
  const kills = Number(values.kills)
  const seed = Number(values.seed)
  if (!Number.isInteger(kills) || kills < 1 || !Number.isInteger(seed)) {
    console.error(`--kills takes a whole number from 1 on, --seed a whole number\n${usage}`)
    return 2
  }
  const result = await runKills({ program: values.program, kills, seed, report: (line) => console.log(line) })
  console.log(killsText(result))
  return result.wrong.length === 0 ? 0 : 1
}

/** An agent and its server, killed in turn. */
async function faultAgent(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { minutes: { type: 'string', default: '5' }, seed: { type: 'string', default: '1' } },
  })
  const minutes = Number(values.minutes)
  const seed = Number(values.seed)
  if (!(minutes > 0) || !Number.isInteger(seed)) {
    console.error(`--minutes takes a number above 0, --seed a whole number\n${usage}`)
    return 2
  }
  const program = fileURLToPath(new URL('./ricci.mjs', import.meta.url))
  const result = await runAgentKills({ program, minutes, seed, report: (line) => console.log(line) })
  console.log(agentKillsText(result))
  return result.wrong.length === 0 ? 0 : 1
}

const commands: Readonly<Record<string, (args: string[]) => Promise<number>>> = {
  agent: faultAgent,
  election: faultElections,
  cluster: faultCluster,
}
const command = commands[process.argv[2]] as ((args: string[]) => Promise<number>) | undefined
process.exitCode = await (command === undefined ? main() : command(process.argv.slice(3)))
