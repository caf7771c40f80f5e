import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { canHaveOwnNetwork, cutNetwork, hasOwnNetwork, runInOwnNetwork } from './network.ts'

/** What arrives of three datagrams, of which the second is sent while it is cut off. */
async function exchange(): Promise<string> {
  const [one, other] = [createSocket('udp4'), createSocket('udp4')]
  one.bind(0, '127.0.0.1')
  await once(one, 'listening')
  const { port } = one.address()
  let said = ''
  one.on('message', (message) => (said += String(message)))
  const send = (text: string): Promise<void> =>
    new Promise((sent, failed) => other.send(text, port, '127.0.0.1', (error) => (error ? failed(error) : sent())))
  await send('a')
  const heal = cutNetwork({ drop: [`ipproto udp dport ${port}`] })
  await send('b')
  heal()
  await send('c')
  while (!said.endsWith('c')) await once(one, 'message')
  one.close()
  other.close()
  return said
}

if (hasOwnNetwork()) process.exitCode = (await exchange()) === 'ac' ? 42 : 1
else
  describe('a network of our own', { skip: !canHaveOwnNetwork() && 'needs root, ip and unshare' }, () => {
    it('loses what is cut, without a word, until it is healed', async () => {
      assert.equal(await runInOwnNetwork(process.argv[1], []), 42)
    })

    it('cuts nothing in a network that is not its own', () => {
      assert.throws(() => cutNetwork({ drop: ['ipproto udp'] }), /our own/)
    })
  })
