/** What a command is given of the process it runs in; tests hand in their own. */
export interface Surroundings {
  /** Standard output: what was asked for. */
  write(text: string): void
  /** The same for what a server has to tell: rejects where nobody takes it, and the server goes on. */
  print(text: string): Promise<void>
  /** Standard error: what a person should know. */
  complain(text: string): void
  readonly env: Readonly<Record<string, string | undefined>>
  /** Standard output is a terminal. */
  readonly interactive: boolean
  /** How large that terminal is now; absent where there is none, or it does not say. */
  screen?(): { readonly columns: number; readonly rows: number }
  /** Standard error is a terminal: somebody waits before it. */
  readonly attended?: boolean
  readonly signals: SignalSource
}

export type Signal = 'SIGINT' | 'SIGTERM' | 'SIGHUP'

export interface SignalSource {
  on(signal: Signal, listener: () => void): unknown
  off(signal: Signal, listener: () => void): unknown
  exit?(code: number): void
}

/** Exit codes of every command. */
export const ExitCode = { ok: 0, failed: 1, usage: 2, configuration: 78 } as const

/** A command that ends with a sentence and an exit code instead of a stack trace. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  constructor(
    readonly exitCode: number,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}
