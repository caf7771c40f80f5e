import { readFileSync } from 'node:fs'
import type { Config } from '../config/config.ts'
import type { PemFiles } from './certificates.ts'

/** Certificates of the configuration's files, read anew each time. */
export function pemFilesOf({ cert, key, ca }: NonNullable<Config['tls']>): PemFiles {
  const read = (path: string): string => readFileSync(path, 'utf8')
  return {
    place: cert,
    read: () => ({ cert: read(cert), key: read(key), ...(ca !== undefined && { ca: read(ca) }) }),
  }
}
