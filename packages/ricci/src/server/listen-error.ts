import { RicciError } from '../errors.ts'

/** Turns what `listen` failed with into a sentence that says what to do. */
export function listenError(error: unknown, what: string, host: string, port: number): Error {
  const { code } = error as NodeJS.ErrnoException
  const at = `${host}:${port}`
  const sentence =
    code === 'EADDRINUSE'
      ? `${what} cannot listen on ${at}: the port is in use. Is Ricci (or Riemann) running already? Stop it, or choose another port.`
      : code === 'EACCES'
        ? `${what} cannot listen on ${at}: this user may not use that port. Choose one above 1023.`
        : code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND'
          ? `${what} cannot listen on ${at}: this machine has no such address. Choose one of its own, for example 127.0.0.1.`
          : `${what} cannot listen on ${at}: ${(error as Error).message}`
  return new RicciError('LISTEN', sentence, { cause: error })
}
