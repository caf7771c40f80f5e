import { ElectionError } from '../errors.ts'
import type { TlsOptions } from '../http.ts'
import type { LeaseStore } from '../store.ts'
import { consul } from './consul.ts'
import { etcd } from './etcd.ts'
import { postgres } from './postgres.ts'

/** What is not in an address. */
export interface StoreSettings {
  /** PEM text, or the files' paths. */
  readonly tls?: TlsOptions
  /** Where secrets are: `CONSUL_HTTP_TOKEN`, `ETCD_USER`, `ETCD_PASSWORD`, and what PostgreSQL's own clients look at. */
  readonly env: Readonly<Record<string, string | undefined>>
}

/** The forms an address may have, for help and errors. */
export const storeForms: readonly string[] = [
  'consul://HOST:PORT[,HOST:PORT…][/PREFIX]',
  'etcd://HOST:PORT[,HOST:PORT…][/PREFIX]',
  'postgres://USER@HOST:PORT[,HOST:PORT…]/DATABASE',
  'consul+tls:// and etcd+tls:// speak TLS, consul+srv:// and etcd+srv:// (or +tls+srv) ask DNS for the service',
]

/**
 * A store by its address: what commands take.
 * @throws ElectionError `OPTION_INVALID`
 */
export function storeFromUrl(url: string, { tls, env }: StoreSettings): LeaseStore {
  if (/^postgres(ql)?:\/\//.test(url)) return postgres({ url, ...(tls !== undefined && { tls }) })
  const [, kind, secure, service, hosts, prefix] =
    /^(consul|etcd)(\+tls)?(\+srv)?:\/\/([^/@?#]+)(?:\/([\w.-]*))?$/.exec(url) ?? []
  if (kind === undefined) {
    const forms = storeForms.map((form) => `\n  ${form}`).join('')
    throw new ElectionError(
      'OPTION_INVALID',
      `${withoutSecret(url)} is no address of a store; it has one of the forms${forms}`,
      false,
    )
  }
  const scheme = `http${secure === undefined ? '' : 's'}${service ?? ''}`
  const addresses = hosts.split(',').map((host) => `${scheme}://${host}`)
  const common = {
    addresses,
    ...(prefix !== undefined && prefix !== '' && { prefix }),
    ...(tls !== undefined && { tls }),
  }
  if (kind === 'consul') return consul({ ...common, ...(env.CONSUL_HTTP_TOKEN && { token: env.CONSUL_HTTP_TOKEN }) })
  const { ETCD_USER: user, ETCD_PASSWORD: password } = env
  return etcd({ ...common, ...(user && { user }), ...(password && { password }) })
}

/** An address without what stands before its `@`: it may be shown. */
function withoutSecret(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//…@')
}
