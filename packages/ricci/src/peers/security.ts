/**
 * How instances of a cluster know each other: by a secret that all of them have, or by certificates of an authority that signs nothing
 * else. Either way both sides prove it before a byte of a request is read, and what is said is encrypted with keys that nobody can find
 * out later.
 */
import { scryptSync } from 'node:crypto'
import type { AgentOptions, ServerOptions } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { RicciError } from '../errors.ts'

/** What instances know each other by. Certificates are PEM text. */
export type PeerSecurity =
  { readonly secret: string } | { readonly ca: string; readonly cert: string; readonly key: string }

/** Shorter ones could be guessed by who is asked by mistake: they see one handshake, and may try secrets on it. */
const minSecretBytes = 16

/**
 * Pre-shared key with Diffie-Hellman: the only suite that is allowed, so that whoever speaks at all knows the secret. It exists in the
 * OpenSSL of every Node from 20 on; TLS 1.3 has no list by which certificates could be left out.
 */
const suite = 'ECDHE-PSK-CHACHA20-POLY1305'
const identity = 'ricci'

/** Who listens and who asks need the same key: made once. */
const keys = new WeakMap<PeerSecurity, Buffer>()

/** Guessing costs 16 MiB and some 30 ms each. Fixed salt: every instance has to come to the same key. */
function keyOf(security: { readonly secret: string }): Buffer {
  const { secret } = security
  const known = keys.get(security)
  if (known !== undefined) return known
  if (Buffer.byteLength(secret) < minSecretBytes) {
    throw new RicciError(
      'CONFIG_INVALID',
      `the cluster's secret is shorter than ${minSecretBytes} bytes; make one with: openssl rand -base64 32`,
    )
  }
  const key = scryptSync(secret, 'ricci peers', 32)
  keys.set(security, key)
  return key
}

/** For who is asked. @throws RicciError `CONFIG_INVALID` */
export function listenSecurity(security: PeerSecurity): ServerOptions {
  if (!('secret' in security)) {
    // refused by who listens, which can say whom: Node would close without a word
    return { ...security, minVersion: 'TLSv1.3', requestCert: true, rejectUnauthorized: false }
  }
  const psk = keyOf(security)
  return {
    ...pinned,
    pskCallback: (_socket, named) => (named === identity ? psk : null),
  }
}

/** Why a connection is not one of the cluster's; undefined where it is. With a secret whoever speaks at all has proved it. */
export function strangeness(security: PeerSecurity, socket: TLSSocket): string | undefined {
  if ('secret' in security || socket.authorized) return undefined
  // an Error by its type, a code in fact
  return String(socket.authorizationError)
}

/** For who asks. @throws RicciError `CONFIG_INVALID` */
export function askSecurity(security: PeerSecurity): AgentOptions {
  // an address is only where an instance was seen last: that it is one of ours is all that counts
  const anyOfOurs = { checkServerIdentity: () => undefined, servername: '', maxCachedSessions: 0 }
  if (!('secret' in security)) return { ...security, ...anyOfOurs, minVersion: 'TLSv1.3' }
  const psk = keyOf(security)
  return { ...pinned, ...anyOfOurs, pskCallback: () => ({ psk, identity }) }
}

const pinned = { ciphers: suite, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const
