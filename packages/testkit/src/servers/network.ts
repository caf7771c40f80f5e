/**
 * A network of a program's own: a namespace of the kernel's with nothing in it but loopback, where packets can be dropped by who sends them. It touches
 * nothing of the machine's and is gone with its last process. Needs root, and `ip` and `unshare`.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'

/** Tells a program that it is within. */
const within = 'RICCI_OWN_NETWORK'
/** The routing table of what is dropped: its packets leave by a device that leads nowhere, so that nobody is told, as when a cable is cut. */
const nowhere = '66'
/**
 * Rules are tried in the order of their number: what is spared, what is dropped, then loopback's own, which usually comes first. Each spared or dropped has a
 * number of its own: where one says nothing of an address, the kernel takes it for any other of its number that does, when it is added and when it is removed.
 */
const order = { spare: 1_000, drop: 10_000, local: 20_000 }
const numbersEach = 9_000
/** Rules that were ever made. */
let made = 0

const prepare = [
  'ip link set lo up',
  `ip rule add pref ${order.local} lookup local`,
  'ip rule del pref 0',
  'ip link add nowhere type ifb',
  'ip link set nowhere up',
  // addresses of 127/8 leave by no other device otherwise
  'echo 1 > /proc/sys/net/ipv4/conf/nowhere/route_localnet',
  `ip route add default dev nowhere table ${nowhere}`,
].join(' && ')

const unshared = (command: string, ...args: string[]): string[] => [
  ...['--pdeathsig=KILL', 'unshare', '--net', 'sh', '-c', `${prepare} && ${command}`, 'sh'],
  ...args,
]

/** Whether this process runs in a network of its own. */
export function hasOwnNetwork(): boolean {
  return process.env[within] === 'yes'
}

/** Whether a program can be given one here. */
export function canHaveOwnNetwork(): boolean {
  return spawnSync('setpriv', unshared('true')).status === 0
}

/** What tells a program to end. */
export const endings = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Runs a program of Node's in a network of its own, as part of this one; gives its exit code. It ends when we do, and is told to when we are. */
export async function runInOwnNetwork(file: string, args: readonly string[]): Promise<number> {
  const env = { ...process.env, [within]: 'yes' }
  const words = unshared('exec "$@"', process.execPath, file, ...args)
  const child = spawn('setpriv', words, { stdio: 'inherit', env })
  const forward = (signal: NodeJS.Signals): boolean => child.kill(signal)
  for (const name of endings) process.on(name, forward)
  const [code] = (await once(child, 'exit')) as [number | null]
  for (const name of endings) process.off(name, forward)
  return code ?? 1
}

/** What packets to drop, each in the words of `ip rule`, e.g. `ipproto udp dport 8301`. */
export interface Cut {
  readonly drop: readonly string[]
  /** What passes all the same. */
  readonly spare?: readonly string[]
}

/** Drops packets of this program's own network, silently; gives what lets them pass again. @throws Error where there is no such network */
export function cutNetwork({ drop, spare = [] }: Cut): () => void {
  if (!hasOwnNetwork()) throw new Error('Packets are dropped in a network of our own alone.')
  const rules = [
    ...spare.map((what) => `pref ${order.spare + (made++ % numbersEach)} ${what} lookup local`),
    ...drop.map((what) => `pref ${order.drop + (made++ % numbersEach)} ${what} lookup ${nowhere}`),
  ]
  for (const rule of rules) ipRule('add', rule)
  return () => {
    for (const rule of rules) ipRule('del', rule)
  }
}

/** Changes the rules of this program's own network. @throws Error where there is none */
export function ipRule(verb: 'add' | 'del', rule: string): void {
  ip('rule', verb, rule)
}

/** Changes the routes of this program's own network. @throws Error where there is none */
export function ipRoute(verb: 'add', route: string): void {
  ip('route', verb, route)
}

function ip(what: 'rule' | 'route', verb: string, words: string): void {
  if (!hasOwnNetwork()) throw new Error('Rules and routes are changed in a network of our own alone.')
  const run = spawnSync('ip', [what, verb, ...words.split(' ')], { encoding: 'utf8' })
  if (run.status !== 0) throw new Error(`ip ${what} ${verb} ${words}: ${run.stderr}`)
}
