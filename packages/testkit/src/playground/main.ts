// `npm run cluster`: a cluster on this machine to break by hand. Ctrl-C ends it and says what it came to.
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { SeededRandom } from '../random.ts'
import { endings } from '../servers/network.ts'
import { missing } from '../servers/program.ts'
import { Playground } from './playground.ts'
import { commands, line, processTable, summary } from './screen.ts'

const usage = `usage: npm run cluster -- [--every SECONDS]
options: --every SECONDS between two jobs that fail or recover, 3 unless told`

/** As systemd would be told by `RestartSec`. */
const restartMs = 10_000
/** At the end, pages that are not told by then count as missing: everything was killed, is started again, and a resolve waits as it does after a takeover. */
const settleMs = 60_000
const servers = { RabbitMQ: 'rabbitmq', Erlang: 'erlang', Consul: 'consul' } as const

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { every: { type: 'string', default: '3' } } })
  const every = Number(values.every)
  if (!(every >= 0.1)) {
    console.error(`--every takes seconds, from 0.1 on\n${usage}`)
    return 2
  }
  console.log(
    'Looking for RabbitMQ, Erlang and Consul; what this machine lacks is fetched once, beside the repository …',
  )
  const lacking = Object.entries(servers).flatMap(([title, name]) => {
    const why = missing(name)
    return why === undefined ? [] : [`${title} is missing: ${why}`]
  })
  if (lacking.length > 0) {
    console.error(
      `${lacking.join('\n')}\nA cluster runs where they are installed, or Debian's packages can be fetched.`,
    )
    return 1
  }

  const ending = new AbortController()
  const hurry = new AbortController()
  let signalled: NodeJS.Signals | undefined
  let hasStarted = false
  const end = (name: NodeJS.Signals): void => {
    signalled ??= name
    if (!hasStarted && ending.signal.aborted) process.exit(128 + constants.signals[name])
    if (!hasStarted)
      console.log('It ends once it has started; Ctrl-C again ends it at once, and leaves temporary files.')
    // a terminal that is gone, or who wants it over, is not made to wait
    if (name !== 'SIGINT' || ending.signal.aborted) hurry.abort()
    ending.abort()
  }
  for (const name of endings) process.on(name, end)
  process.stdout.on('error', () => end('SIGHUP'))

  console.log('Starting three brokers, three servers of Consul, and three instances: half a minute or so …')
  const playground = await Playground.start({
    program: fileURLToPath(new URL('./ricci.mjs', import.meta.url)),
    random: new SeededRandom(String(process.pid)),
    everyMs: every * 1_000,
    restartMs,
    say: (kind, text) => console.log(line(new Date(), kind, text)),
  })
  hasStarted = true
  try {
    const show = async (): Promise<void> => {
      const table = processTable(await playground.rows())
      console.log(`\n${table}\n\nLook into it from another terminal in this folder:\n${commands(playground.urls[0])}\n`)
    }
    if (!ending.signal.aborted) {
      await show()
      console.log(
        `A job fails or recovers every ${every} s, and each time a page is told below. Kill or freeze what you like, several at once, too: what died is started
again after ${restartMs / 1_000} s. Where a trigger's request was cut off, its resolve waits for 11 s, until it cannot be under way any more.
Enter shows the table anew, Ctrl-C ends all of it and counts.\n`,
      )
    }
    process.stdin.on('data', () => void show())
    while (!ending.signal.aborted) await playground.nextPage(ending.signal)
    if (!hurry.signal.aborted && playground.tally().missing.length > 0)
      console.log(`\nWaiting up to ${settleMs / 1_000} s for pages that are to come still; Ctrl-C ends that.`)
    const tally = await playground.settle(settleMs, hurry.signal)
    console.log(`\n${summary(tally, playground.repeats)}`)
    if (signalled !== 'SIGINT') return 128 + constants.signals[signalled!]
    return tally.doubled + tally.missing.length === 0 ? 0 : 1
  } finally {
    process.stdin.destroy()
    await playground.stop()
    console.log('All of it is ended.')
  }
}

process.exitCode = await main()
