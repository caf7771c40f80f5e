import type { Config } from '../config/config.ts'
import { isLoopback } from '../http/rebinding.ts'

/** What somebody should know of a listener that is reached from other machines. */
export interface Exposure {
  readonly listener: string
  readonly host: string
  readonly text: string
}

/** What a configuration opens to other machines, a sentence each. */
export function exposures({ listen, http }: Pick<Config, 'listen' | 'http'>): Exposure[] {
  return Object.entries(listen).flatMap(([listener, address]): Exposure[] => {
    if (address === undefined || isLoopback(address.host)) return []
    const where = { listener, host: address.host }
    const isHttp = listener === 'http' || listener === 'sse'
    const texts = [
      ...(isHttp && http.requireToken
        ? []
        : ['listens beyond this machine: whoever reaches it can send events and read the index']),
      ...(isHttp && !http.tls
        ? [
            'HTTP without TLS beyond this machine: tokens can be read by whoever is on the way; set http.tls, or have a proxy',
          ]
        : []),
    ]
    return texts.map((text) => ({ ...where, text }))
  })
}
