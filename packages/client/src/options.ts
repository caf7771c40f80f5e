/** What the clients' options may be: checked when a client is made, not when it first connects. */
import { ClientError } from './errors.ts'

/** @throws ClientError `OPTION_INVALID` where a value is there and does not fit */
export function checkOption(name: string, value: unknown, wanted: string, fits: boolean): void {
  if (value === undefined || fits) return
  throw new ClientError('OPTION_INVALID', `the option ${name} is ${String(value)}; give ${wanted}`, false)
}

/** @throws ClientError `OPTION_INVALID` */
export function checkAddress({ host, port }: { readonly host?: string; readonly port?: number }): void {
  checkOption('host', host, 'a name or an address', typeof host === 'string' && host !== '')
  checkOption('port', port, 'a whole number from 1 to 65535', Number.isInteger(port) && port! >= 1 && port! <= 65_535)
}
