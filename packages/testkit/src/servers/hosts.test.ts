import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createSocket, type RemoteInfo } from 'node:dgram'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { Host } from './hosts.ts'
import { canHaveOwnNetwork, hasOwnNetwork, runInOwnNetwork } from './network.ts'
import { guarded } from './process.ts'

/** A client that says hello, and then says back whatever it is told; that it has, it writes down. */
const echo = `
  const socket = require('dgram').createSocket('udp4')
  socket.on('message', (message, { port, address }) => socket.send(message, port, address, () => process.stdout.write(message)))
  socket.send('hello', Number(process.argv[1]), '127.0.0.1')
`

/** What comes back from a client of words that it is told before, while and after its host is cut off, in each of the ways that there are. */
async function exchange(): Promise<string> {
  const [here, there] = [new Host('here'), new Host('there')]
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  here.listens(port)
  const words = [...guarded(there.user), process.execPath, '-e', echo, String(port)]
  const child = spawn('setpriv', words, { stdio: ['ignore', 'pipe', 'inherit'] })
  let written = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (written += text))
  const [, client] = (await once(socket, 'message')) as [Buffer, RemoteInfo]
  let heard = client.address === there.address ? '' : `a stranger at ${client.address} `
  socket.on('message', (message) => (heard += String(message)))
  const say = (word: string): Promise<void> =>
    new Promise((said, failed) =>
      socket.send(word, client.port, client.address, (error) => (error ? failed(error) : said())),
    )
  const answered = async (word: string): Promise<void> => {
    await say(word)
    while (!heard.endsWith(word)) await once(socket, 'message')
  }
  const cuts = [() => there.cut(), () => there.cutFrom(here), () => there.cutTowards(here)]
  for (const [at, cut] of cuts.entries()) {
    await answered('a')
    const heal = cut()
    await say('b')
    // the last of them hears, and is not heard
    while (at === 2 && !written.endsWith('b')) await once(child.stdout, 'data')
    heal()
    await answered('c')
  }
  child.kill()
  await once(child, 'exit')
  socket.close()
  return heard
}

if (hasOwnNetwork()) {
  const heard = await exchange()
  const right = heard === 'acacac'
  if (!right) console.error(heard)
  process.exitCode = right ? 42 : 1
} else
  describe('hosts of a network of our own', { skip: !canHaveOwnNetwork() && 'needs root, ip and unshare' }, () => {
    it('are known by their addresses, and are not heard while they are cut off', async () => {
      assert.equal(await runInOwnNetwork(process.argv[1], []), 42)
    })

    it('there are none in a network that is not our own', () => {
      assert.throws(() => new Host('nowhere'), /our own/)
    })
  })
